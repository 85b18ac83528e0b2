"""From interactions to a checked publication, top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from lightfm import LightFM

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import LabelError
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import Clock, Staging, utc_now
from trainer import reading
from trainer.data.files import tables
from trainer.evaluation.of_cold_users import evaluate_cold_of
from trainer.evaluation.of_lightfm import evaluate
from trainer.fitting import warm_start as warm
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import Hyperparameters, train
from trainer.fitting.trained import Trained
from trainer.fitting.user_features import learned
from trainer.index import make_backends
from trainer.index.tuning import TuningOptions
from trainer.preparing.dataset import Dataset, Split, build_dataset
from trainer.preparing.pair_weights import learning_warnings
from trainer.progress import Reporter, Silent
from trainer.promotion import predecessor
from trainer.promotion.checks import Checked, Checks, publish_checked
from trainer.promotion.content import Content, content_in_making, names_by_column
from trainer.promotion.gates import Gates
from trainer.publishing.indexing import Indexing
from trainer.publishing.publishable import Publishable
from trainer.reading import TrainingInput
from trainer.spark.engine import SparkTraining, trained_on_spark
from trainer.spec import TrainingSpec
from trainer.timings import Timings

EVENTS = "events"
"""Where appended interactions are, in the trainer's own directory."""

_LIBRARIES = ("rectools-lightfm", "scipy")


@dataclass(frozen=True)
class Places:
    """Where things are.

    Attributes:
        volume: the shared one.
        data_dir: of fetched datasets.
        event_log: of appended interactions.
        cache_bytes: how large the folder of a volume elsewhere may get; None for what its disk holds.
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
        checks.before_training(lambda: _content(dataset), dataset.warnings)
        # A volume that can't be written is known before the training, not after it.
        with Staging(volume.folder):
            pass
        start = _start(spec, volume.folder, dataset) if spec.warm_start else None
        with _trained(spec, volume, dataset, start, timings, reporter) as trained:
            reporter.metrics(trained.metrics)
            made = _publishable(dataset, trained)
            checked = publish_checked(made, checks, indexing, timings, reporter)
    warnings = [
        *dataset.warnings,
        *checked.warnings,
        *trained.warnings,
        *_needless_options(spec, dataset, began_anew=spec.warm_start and start is None),
    ]
    return TrainingResult(
        **{**vars(checked), "warnings": warnings}, model=trained.model, dataset=dataset
    )


def indexing_of(spec: TrainingSpec) -> Indexing:
    """The backends and options of a spec; raises OptionError and BackendMissingError."""
    options = TuningOptions(
        target_recall=spec.target_recall,
        strict=spec.strict_recall,
        seed=spec.hyperparameters.seed,
    )
    if spec.index_threads is not None:
        options = replace(options, threads=spec.index_threads)
    return Indexing(backends=make_backends(spec.backend, trees=spec.trees), options=options)


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
            # What isn't one of them is refused where the data is split.
            split=cast("Split", data.split or reading.default_split(data)),
            split_count=data.split_count,
            split_share=data.split_share,
            seed=spec.hyperparameters.seed,
        )


def _gates(spec: TrainingSpec) -> Gates:
    """Those of the spec. A window that moves leaves out what users had seen, and nothing is wrong."""
    if spec.data.last_days is None or spec.gates.min_pairs_kept is not None:
        return spec.gates
    return replace(spec.gates, min_pairs_kept=0.0)


def _start(spec: TrainingSpec, volume: Path, dataset: Dataset) -> LightFM | None:
    """The model that the label names, fitted to the dataset's rows; None when there is none yet."""
    try:
        version = labels.read_label(volume, spec.label or layout.DEFAULT_LABEL)
    except LabelError:
        return None
    state = warm.load(volume, version)
    return None if state is None else warm.warm_model(state, dataset, spec.hyperparameters)


@contextmanager
def _trained(
    spec: TrainingSpec,
    volume: Volume,
    dataset: Dataset,
    start: LightFM | None,
    timings: Timings,
    reporter: Reporter,
) -> Iterator[Trained]:
    """Fit and evaluate by the spec's engine; it may yield vectors in files that go after the block."""
    if spec.spark is None:
        yield _trained_here(dataset, spec.hyperparameters, start, timings, reporter)
        return
    # What the nodes reach is where the volume is, not this machine's copy of it.
    exchange = f"{volume}/{layout.STAGING}" if volume.elsewhere else None
    with trained_on_spark(
        dataset,
        spec.hyperparameters,
        SparkTraining(spec.spark, exchange),
        volume.folder,
        timings=timings,
        reporter=reporter,
    ) as trained:
        yield trained


def _trained_here(
    dataset: Dataset,
    hyperparameters: Hyperparameters,
    start: LightFM | None,
    timings: Timings,
    reporter: Reporter,
) -> Trained:
    """LightFM, fitted in this process."""
    with timings.stage("fit"), reporter.step("Training, epochs", hyperparameters.epochs) as advance:
        model = train(dataset, hyperparameters, on_epoch=lambda: advance(1), start=start)
    with timings.stage("evaluate"):
        metrics = evaluate(model, dataset, threads=hyperparameters.threads, seed=hyperparameters.seed)
        embeddings = extract_embeddings(model, dataset)
        state = warm.state_of(model, dataset)
        user_features = learned(state)
        metrics |= evaluate_cold_of(dataset, embeddings, user_features, seed=hyperparameters.seed)
    return Trained(
        embeddings=embeddings,
        metrics=metrics,
        hyperparameters=asdict(hyperparameters),
        libraries=_LIBRARIES,
        model=model,
        state=state,
        user_features=user_features,
        warnings=learning_warnings(dataset.train, name=dataset.name, loss=hyperparameters.loss)
        if hyperparameters.sample_weights
        else [],
    )


def _publishable(dataset: Dataset, trained: Trained) -> Publishable:
    return Publishable(
        items=dataset.items,
        users=dataset.users,
        embeddings=trained.embeddings,
        seen=dataset.seen(),
        held_out=dataset.held_out(),
        titles=dataset.titles,
        facts=_facts(dataset),
        hyperparameters=trained.hyperparameters,
        metrics=trained.metrics,
        libraries=trained.libraries,
        state=trained.state,
        popularity=dataset.popularity(),
        user_features=trained.user_features,
        attributes=dataset.attributes,
    )


def _content(dataset: Dataset) -> Content:
    content = content_in_making(
        items=dataset.items,
        users=dataset.users,
        seen=(dataset.seen(), dataset.held_out()),
        titles=dataset.titles,
        facts=_facts(dataset),
        attributes=dataset.attributes,
    )
    names = {
        **names_by_column("items", dataset.item_columns, dataset.item_feature_names),
        **names_by_column("users", dataset.user_columns, dataset.user_feature_names),
    }
    return replace(content, names=names)


def _facts(dataset: Dataset) -> DatasetFacts:
    return DatasetFacts(
        name=dataset.name,
        split=dataset.split,
        train_interactions=int(dataset.train.nnz),
        test_interactions=int(dataset.test.nnz),
        item_features=dataset.item_columns,
        user_features=dataset.user_columns,
        weight=dataset.weight(),
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
