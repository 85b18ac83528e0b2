"""From interactions, or from any model's vectors, to a checked publication, top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from lightfm import LightFM

from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import Clock, Staging, utc_now
from trainer import reading, training
from trainer.data.files import tables
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.preparing.dataset import Dataset, build_dataset
from trainer.preparing.splits import Split, Splitting
from trainer.progress import Reporter, Silent
from trainer.promotion import predecessor
from trainer.promotion.checks import Checked, Checks
from trainer.promotion.content import content_in_making
from trainer.promotion.gates import Gates
from trainer.publishing.own_vectors import OwnVectors, read_own_vectors
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Described, Publishable
from trainer.reading import TrainingInput
from trainer.spec import LabelSpec, TrainingSpec
from trainer.timings import Timings

EVENTS = "events"
"""Where appended interactions are, in the trainer's own directory."""


@dataclass(frozen=True)
class Places:
    """Where things are: the shared volume, fetched datasets, appended interactions.

    The folder of a volume elsewhere may get as large as `cache_bytes`; None for what its disk holds.
    """

    volume: Volume
    data_dir: Path
    event_log: Path
    cache_bytes: int | None = None


@dataclass(frozen=True)
class TrainingResult(Checked):
    """What `train_and_publish` made, and how it did at the gates; `model` is LightFM's own, if any."""

    model: LightFM | None
    dataset: Dataset


@dataclass(frozen=True, kw_only=True)
class VectorsSpec(LabelSpec):
    """Files of vectors to publish with what goes with them, and the kinds of index to choose among."""

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
    """Read, train, evaluate, index, publish, verify and check the gates; no label is moved.

    Args:
        spec: what to train on and how.
        places: where data and volume are.
        source: interactions and features that are in memory already, and not to be read.
        run_id: of the training run, for the manifest; None for one by the time, of a command.
        reporter: told of the steps.
        clock: for the version's name, and for the age of interactions.

    Raises:
        TrainerError: the spec, the data or the training is at fault, or an index isn't good enough.
        PublicationError: the volume is, or the vectors can't be indexed.
    """
    reporter = reporter or Silent()
    timings = Timings(clock, on_stage=reporter.stage, run_id=run_id)
    indexing = indexing_of(spec)
    volume = places.volume
    volume.check_writable()
    with predecessor.followed(volume, spec.label):
        dataset = _dataset(spec, places, source, timings)
        # The rows are gone, which take more memory than the matrix, and the fit comes next.
        tables.release_memory()
        checks = Checks(volume, spec.label, _gates(spec), spec.max_shrinkage, indexing.options.seed)
        names = dataset.item_feature_names, dataset.user_feature_names
        checks.before_training(lambda: content_in_making(_described(dataset), *names), dataset.warnings)
        # A volume that can't be written is known before the training, not after it.
        with Staging(volume.folder):
            pass
        start = training.start_of(spec, volume.folder, dataset) if spec.warm_start else None
        with training.trained_by(spec, volume, dataset, start, timings, reporter) as trained:
            reporter.metrics(trained.metrics)
            described, popularity = _described(dataset), dataset.popularity()
            made = Publishable(**vars(described), **vars(trained), popularity=popularity)
            published = publish(
                made, volume.folder, indexing=indexing, timings=timings, reporter=reporter
            )
        checked = checks.published(published, timings)
    warnings = [
        *dataset.warnings,
        *checked.warnings,
        *trained.warnings,
        *_needless_options(spec, dataset, began_anew=spec.warm_start and start is None),
    ]
    return TrainingResult(
        **{**vars(checked), "warnings": warnings}, model=trained.model, dataset=dataset
    )


def publish_vectors(spec: VectorsSpec, volume: Volume, *, reporter: Reporter) -> Checked:
    """Read, evaluate, index, publish, verify and check the gates; no label is moved.

    Raises:
        TrainerError: the files are at fault, or an index isn't good enough.
        PublicationError: the volume is.
    """
    timings = Timings(on_stage=reporter.stage)
    volume.check_writable()
    with timings.stage("read"), Staging(volume.folder) as staging:
        source = read_own_vectors(spec.files, staging.scratch("vectors"))
    with predecessor.followed(volume, spec.label):
        seed = spec.indexing.options.seed
        checks = Checks(volume, spec.label, spec.gates, spec.max_shrinkage, seed)
        checks.before_training(lambda: content_in_making(source), source.warnings)
        published = publish(
            source, volume.folder, indexing=spec.indexing, timings=timings, reporter=reporter
        )
        checked = checks.published(published, timings)
    return replace(checked, warnings=[*source.warnings, *checked.warnings])


def indexing_of(spec: TrainingSpec) -> Indexing:
    """The backends and options of a spec; raises OptionError and BackendMissingError."""
    tuning = TuningOptions(
        target_recall=spec.target_recall,
        strict=spec.strict_recall,
        seed=spec.hyperparameters.seed,
    )
    if spec.index_threads is not None:
        tuning = replace(tuning, threads=spec.index_threads)
    return Indexing(backends=make_backends(spec.backend, trees=spec.trees), options=tuning)


def _dataset(
    spec: TrainingSpec, places: Places, source: TrainingInput | None, timings: Timings
) -> Dataset:
    """What is read, split and made into matrices."""
    data = spec.data
    if source is None:
        with timings.stage("read"):
            source = reading.read_source(
                data,
                data_dir=places.data_dir,
                event_log=places.event_log,
                now=timings.clock().timestamp(),
            )
    with timings.stage("dataset"):
        return build_dataset(
            source.interactions,
            items=source.items,
            users=source.users,
            splitting=Splitting(
                # What isn't one of them is refused where the data is split.
                cast("Split", data.split or reading.default_split(data)),
                spec.hyperparameters.seed,
                data.split_count,
                data.split_share,
            ),
        )


def _gates(spec: TrainingSpec) -> Gates:
    """Those of the spec. A window that moves leaves out what users had seen, and nothing is wrong."""
    if spec.data.last_days is None or spec.gates.min_pairs_kept is not None:
        return spec.gates
    return replace(spec.gates, min_pairs_kept=0.0)


def _described(dataset: Dataset) -> Described:
    """What is told of a dataset, whatever its vectors are."""
    return Described(
        items=dataset.items,
        users=dataset.users,
        seen=dataset.seen(),
        held_out=dataset.held_out(),
        titles=dataset.titles,
        facts=DatasetFacts(
            name=dataset.name,
            split=dataset.split,
            train_interactions=int(dataset.train.nnz),
            test_interactions=int(dataset.test.nnz),
            item_features=dataset.item_columns,
            user_features=dataset.user_columns,
            weight=dataset.weight(),
        ),
        attributes=dataset.attributes,
    )


def _needless_options(spec: TrainingSpec, dataset: Dataset, *, began_anew: bool) -> Iterator[str]:
    """A warning of each option that changes nothing here."""
    if began_anew:
        yield "there is no model to go on from yet: this training began anew"
    if spec.hyperparameters.sample_weights:
        if not (dataset.train.data != 1).any():
            yield f"--sample-weights has nothing to weigh: all interactions of {dataset.name} weigh 1"
    elif spec.data.event_weights or spec.data.half_life_days is not None:
        yield (
            "without --sample-weights the model sees only whether a weight is above 0: --event-weights "
            "and --half-life-days hardly change it"
        )
