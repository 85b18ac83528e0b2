"""Make a checked publication from interactions, or from the vectors of any model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from lightfm import LightFM

from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import Clock, Staging, utc_now
from trainer import models, reading, training
from trainer.data.files import tables
from trainer.errors import TrainerError
from trainer.evaluation import segments
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.preparing.dataset import Dataset, build_dataset
from trainer.preparing.splits import Split, Splitting
from trainer.preparing.validation import build_validation
from trainer.progress import Reporter, Silent
from trainer.promotion import predecessor
from trainer.promotion.checks import Checked, Checks
from trainer.promotion.content import content_in_making
from trainer.promotion.gates import Gates
from trainer.publishing.own_vectors import OwnVectors, read_own_vectors
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Publishable, described, publishable
from trainer.reading import TrainingInput
from trainer.spec import LabelSpec, TrainingSpec
from trainer.timings import Timings
from trainer.training import PreparedData

EVENTS = "events"
"""The folder of appended interactions, in the trainer's directory."""

LOGS = "logs"
"""The folder of the logs of runs, and of the rows that they left out, in the trainer's directory."""


@dataclass(frozen=True)
class Places:
    """The places of the shared volume, fetched datasets and appended interactions.

    `cache_bytes` limits the local folder of an object store; None for the size of its disk.
    """

    volume: Volume
    data_dir: Path
    event_log: Path
    cache_bytes: int | None = None


@dataclass(frozen=True)
class TrainingResult(Checked):
    """The result of `train_and_publish`, with its gates; `model` is None from another engine."""

    model: LightFM | None
    dataset: Dataset


@dataclass(frozen=True, kw_only=True)
class VectorsSpec(LabelSpec):
    """The files of vectors to publish, and the indexes to choose among."""

    files: OwnVectors
    indexing: Indexing


def train_and_publish(
    spec: TrainingSpec,
    places: Places,
    *,
    source: TrainingInput | None = None,
    run_id: str | None = None,
    reporter: Reporter | None = None,
    clock: Clock = utc_now,
) -> TrainingResult:
    """Read, train, evaluate, index, publish, verify and check the gates; moves no label.

    Args:
        spec: the input and the options.
        places: the places of data and volume.
        source: interactions and features that are already in memory; None to read them.
        run_id: the id of the training run, for the manifest; None to make one from the time.
        reporter: gets the steps.
        clock: for the name of the version and the age of interactions.

    Raises:
        TrainerError: the spec or the data is invalid, the training failed, or an index misses a strict
            target.
        PublicationError: the volume can't be used, or the vectors can't be indexed.
    """
    reporter = reporter or Silent()
    timings = Timings(clock, on_stage=reporter.stage, run_id=run_id)
    indexing = indexing_of(spec)
    models.check_installed(spec.family)
    volume = places.volume
    volume.check_writable()
    with predecessor.followed(volume, spec.label):
        prepared = _prepared(spec, places, source, timings, run_id=run_id)
        dataset = prepared.dataset
        # The rows took more memory than the matrix: free it before the fit.
        tables.release_memory()
        checks = Checks(volume, spec.label, gates_of(spec), spec.max_shrinkage, indexing.options.seed)
        checks.before_training(lambda: content_in_making(described(dataset)), dataset.warnings)
        # Find a volume that can't be written before the training, not after it.
        with Staging(volume.folder):
            pass
        if spec.warm_start:
            start = training.start_of(spec, volume.folder, dataset)
            prepared = replace(prepared, start=start)
        with training.trained_by(spec, prepared, volume, timings, reporter) as trained:
            reporter.metrics(trained.metrics)
            published = publish(
                publishable(dataset, trained),
                volume.folder,
                indexing=indexing,
                timings=timings,
                reporter=reporter,
            )
        checked = checks.published(published, timings)
    began_anew = spec.warm_start and prepared.start is None
    warnings = [
        *dataset.warnings,
        *checked.warnings,
        *trained.warnings,
        *_needless_options(spec, dataset, began_anew=began_anew),
    ]
    return TrainingResult(
        **{**vars(checked), "warnings": warnings}, model=trained.model, dataset=dataset
    )


def fit(
    spec: TrainingSpec, source: TrainingInput, volume: Volume, *, timings: Timings, reporter: Reporter
) -> Publishable:
    """Fit and evaluate a model as `train_and_publish` does, without its publication.

    Args:
        spec: the options; neither a warm start nor Spark.
        source: the interactions and features.
        volume: where files of a fit may lie.
        timings: measures the stages.
        reporter: gets the steps.

    Raises:
        TrainerError: the spec or the data is invalid, or the training failed.
    """
    prepared = _split(spec, source, timings)
    with training.trained_by(spec, prepared, volume, timings, reporter) as trained:
        reporter.metrics(trained.metrics)
    warnings = [
        *prepared.dataset.warnings,
        *trained.warnings,
        *_needless_options(spec, prepared.dataset, began_anew=False),
    ]
    return replace(publishable(prepared.dataset, trained), warnings=warnings)


def publish_vectors(spec: VectorsSpec, volume: Volume, *, reporter: Reporter) -> Checked:
    """Read vectors, evaluate, index, publish, verify and check the gates; moves no label.

    Raises:
        TrainerError: a file is invalid, or an index misses a strict target.
        PublicationError: the volume can't be used.
    """
    timings = Timings(on_stage=reporter.stage)
    volume.check_writable()
    with timings.stage("read"), Staging(volume.folder) as staging:
        source = read_own_vectors(spec.files, staging.scratch("vectors"))
    return publish_made(
        spec, source, volume, indexing=spec.indexing, timings=timings, reporter=reporter
    )


def publish_made(
    spec: LabelSpec,
    made: Publishable,
    volume: Volume,
    *,
    indexing: Indexing,
    timings: Timings,
    reporter: Reporter,
) -> Checked:
    """Index, publish and verify a model in memory, and check the gates; moves no label.

    Raises the errors of `publish_vectors`.
    """
    with predecessor.followed(volume, spec.label):
        checks = Checks(volume, spec.label, spec.gates, spec.max_shrinkage, indexing.options.seed)
        checks.before_training(lambda: content_in_making(made), made.warnings)
        published = publish(made, volume.folder, indexing=indexing, timings=timings, reporter=reporter)
        checked = checks.published(published, timings)
    return replace(checked, warnings=[*made.warnings, *checked.warnings])


def indexing_of(spec: TrainingSpec) -> Indexing:
    """Return the backends and options of a spec; raises OptionError and BackendMissingError."""
    tuning = TuningOptions(
        target_recall=spec.target_recall,
        strict=spec.strict_recall,
        seed=spec.hyperparameters.seed,
    )
    if spec.index_threads is not None:
        tuning = replace(tuning, threads=spec.index_threads)
    return Indexing(backends=make_backends(spec.backend, trees=spec.trees), options=tuning)


def _prepared(
    spec: TrainingSpec,
    places: Places,
    source: TrainingInput | None,
    timings: Timings,
    *,
    run_id: str | None,
) -> PreparedData:
    """Read the input unless it is in memory, split it, and build the matrices."""
    data = spec.data
    if source is None:
        with timings.stage("read"):
            source = reading.read_source(
                data,
                data_dir=places.data_dir,
                event_log=places.event_log,
                now=timings.clock().timestamp(),
                skipped_file=_skipped_file(places, run_id),
            )
    return _split(spec, source, timings)


def _split(spec: TrainingSpec, source: TrainingInput, timings: Timings) -> PreparedData:
    """Split the input, and build the matrices."""
    data = spec.data
    splitting = Splitting(
        # Splitting refuses an unknown split.
        cast("Split", data.split or reading.default_split(data)),
        spec.hyperparameters.seed,
        data.split_count,
        data.split_share,
    )
    with timings.stage("dataset"):
        dataset = build_dataset(
            source.interactions, items=source.items, users=source.users, splitting=splitting
        )
        # A name that is missing is an error before the training, not after it.
        segments.wanted(dataset, data.segment_by)
        dataset = replace(dataset, segment_by=data.segment_by)
        if not spec.needs_validation:
            return PreparedData(dataset=dataset)
        return PreparedData(dataset=dataset, validation=_validation(spec, source, splitting))


def _validation(spec: TrainingSpec, source: TrainingInput, splitting: Splitting) -> Dataset | None:
    """Hold out validation interactions; None if nobody asked for a choice and they are too few.

    Raises:
        TrainerError: --model auto has nothing to choose by.
    """
    must = spec.model == models.AUTO
    try:
        made = build_validation(
            source.interactions, items=source.items, users=source.users, splitting=splitting
        )
    except TrainerError:
        if must:
            raise
        return None
    return made if must or made.held_out() is not None else None


def _skipped_file(places: Places, run_id: str | None) -> Path | None:
    """Return the file for invalid rows of a service's run; None for one in the current folder."""
    # The folder that a service was started in may not be its own.
    return None if run_id is None else places.event_log.parent / LOGS / f"{run_id}.skipped.csv"


def gates_of(spec: TrainingSpec) -> Gates:
    """Return the gates of the spec; --last-days disables min_pairs_kept, since a window moves on."""
    if spec.data.last_days is None or spec.gates.min_pairs_kept is not None:
        return spec.gates
    return replace(spec.gates, min_pairs_kept=0.0)


def _needless_options(spec: TrainingSpec, dataset: Dataset, *, began_anew: bool) -> Iterator[str]:
    """Yield a warning for each option that has no effect here."""
    if began_anew:
        yield "the label names no version that LightFM can continue, so --warm-start had no effect"
    if spec.hyperparameters.sample_weights:
        if not (dataset.train.data != 1).any():
            yield f"--sample-weights had no effect: all weights of {dataset.name} are 1"
    elif spec.data.event_weights or spec.data.half_life_days is not None:
        yield (
            "without --sample-weights the model only sees whether a weight is above 0, so "
            "--event-weights and --half-life-days hardly change it"
        )
