"""From interactions to a publication, top to bottom."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lightfm import LightFM

from publication import labels, layout, reader
from publication.errors import LabelError, PublicationError
from publication.manifest import DatasetFacts
from publication.volume import FolderVolume, Volume
from publication.writer import Clock, Staging, utc_now
from trainer import tables
from trainer import warm_start as warm
from trainer.cold_evaluation import evaluate_cold_of
from trainer.dataset import Dataset, Split, build_dataset
from trainer.embeddings import extract_embeddings
from trainer.errors import OptionError, ShrunkInputError
from trainer.evaluation import evaluate
from trainer.features import FeatureTable
from trainer.gates import GateResult, Gates, check
from trainer.interactions import Interactions
from trainer.measurement import measure
from trainer.model import Hyperparameters, train
from trainer.pair_weights import learning_warnings
from trainer.progress import Reporter, Silent
from trainer.publishing import Indexing, Publishable, Published, publish
from trainer.spark.engine import SparkTraining, trained_on_spark
from trainer.timings import Timings
from trainer.trained import Trained
from trainer.user_features import learned

_LIBRARIES = ("rectools-lightfm", "scipy")


@dataclass(frozen=True)
class TrainingInput:
    """What was read from files."""

    interactions: Interactions
    items: FeatureTable = field(default_factory=FeatureTable)
    users: FeatureTable = field(default_factory=FeatureTable)


@dataclass(frozen=True)
class TrainingResult(Published):
    """What `train_and_publish` made, and how it did at the gates; `model` is LightFM's own, if any."""

    model: LightFM | None
    dataset: Dataset
    gates: list[GateResult]

    @property
    def passed(self) -> bool:
        """Whether it passed every gate that was asked for."""
        return all(gate.passed for gate in self.gates)


def train_and_publish(
    source: TrainingInput,
    volume: Path,
    *,
    hyperparameters: Hyperparameters,
    split: Split,
    indexing: Indexing,
    split_count: int = 1,
    split_share: float = 0.1,
    label: str | None = layout.DEFAULT_LABEL,
    gates: Gates | None = None,
    warm_start: bool = False,
    max_shrinkage: float | None = None,
    spark: SparkTraining | None = None,
    promote: bool = True,
    reporter: Reporter | None = None,
    clock: Clock = utc_now,
) -> TrainingResult:
    """Train, evaluate, index, publish, verify, check the gates, and move the label.

    Args:
        source: interactions and features.
        volume: where to publish.
        hyperparameters: LightFM's.
        split, split_count, split_share: see build_dataset.
        indexing: the kinds of index to choose among.
        label: what to compare with, to start from and to move; None for none.
        gates: what has to pass for the label to be moved; None for nothing.
        warm_start: whether to go on from the model that the label names now.
        max_shrinkage: the largest share of the training interactions of the version that the label
            names now that may be missing; None for any.
        spark: to fit ALS on a Spark cluster; None to fit LightFM here.
        promote: whether to move the label if the gates pass, or to leave that to the caller.
        reporter: told of the steps.
        clock: for the version's name.

    Raises:
        TrainerError: the data or the training is at fault, or an index isn't good enough.
        PublicationError: the volume is, or the vectors can't be indexed.
    """
    reporter = reporter or Silent()
    timings = Timings(clock, on_stage=reporter.stage)
    before = _named(volume, label)
    with timings.stage("dataset"):
        dataset = build_dataset(
            source.interactions,
            items=source.items,
            users=source.users,
            split=split,
            split_count=split_count,
            split_share=split_share,
            seed=hyperparameters.seed,
        )
        # The rows take more memory than the matrix, and the fit comes next.
        del source
        tables.release_memory()
    _refuse_shrunk(dataset, volume, before, max_shrinkage)
    # A volume that can't be written is known before the training, not after it.
    with Staging(volume):
        pass
    start = _start(volume, before, label, dataset, hyperparameters) if warm_start else None
    cold = ["there is no model to go on from yet: this training began anew"]
    trained_by = (
        nullcontext(_trained_here(dataset, hyperparameters, start, timings, reporter))
        if spark is None
        else trained_on_spark(
            dataset, hyperparameters, spark, volume, timings=timings, reporter=reporter
        )
    )
    with trained_by as trained:
        reporter.metrics(trained.metrics)
        published = publish(
            Publishable(
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
            ),
            volume,
            indexing=indexing,
            label=None,
            timings=timings,
            reporter=reporter,
        )
    with timings.stage("gates"):
        results = _check_gates(gates, volume, published, label, seed=hyperparameters.seed)
    result = TrainingResult(
        manifest=published.manifest,
        label=None,
        seconds=timings.seconds,
        warnings=[
            *dataset.warnings,
            *trained.warnings,
            *published.warnings,
            *(cold if warm_start and start is None else []),
        ],
        model=trained.model,
        dataset=dataset,
        gates=results,
    )
    return promote_if_passed(FolderVolume(volume), result, label=label) if promote else result


def promote_if_passed(volume: Volume, result: TrainingResult, *, label: str | None) -> TrainingResult:
    """Move the label if every gate passed; raises PublicationError."""
    if label is None or not result.passed:
        return result
    volume.promote(result.manifest.version, label=label)
    return replace(result, label=label)


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


def _named(volume: Path, label: str | None) -> str | None:
    """The version that the label names now."""
    try:
        return None if label is None else labels.read_label(volume, label)
    except LabelError:
        return None


def _refuse_shrunk(
    dataset: Dataset, volume: Path, before: str | None, max_shrinkage: float | None
) -> None:
    if max_shrinkage is None:
        return
    if not 0 <= max_shrinkage <= 1:
        raise OptionError("--max-shrinkage", max_shrinkage, "in 0..1")
    if before is None:
        return
    try:
        had = reader.read_manifest(volume, before).dataset.train_interactions
    except PublicationError:
        return
    has = int(dataset.train.nnz)
    # A little more, since a share of a count is seldom exact.
    if had - has > had * max_shrinkage + 1e-6:
        raise ShrunkInputError(before=had, now=has, allowed=max_shrinkage, version=before)


def _start(
    volume: Path,
    before: str | None,
    label: str | None,
    dataset: Dataset,
    hyperparameters: Hyperparameters,
) -> LightFM | None:
    """The model that the label names, fitted to the dataset's rows; None when there is none yet."""
    if label is None:
        raise OptionError("--warm-start", True, "used with a label, whose model it goes on from")
    state = None if before is None else warm.load(volume, before)
    return None if state is None else warm.warm_model(state, dataset, hyperparameters)


def _check_gates(
    gates: Gates | None, volume: Path, published: Published, label: str | None, *, seed: int
) -> list[GateResult]:
    if not gates:
        return []
    version = published.manifest.version
    return check(gates, measure(volume, version, gates=gates, label=label, seed=seed))


def _facts(dataset: Dataset) -> DatasetFacts:
    return DatasetFacts(
        name=dataset.name,
        split=dataset.split,
        train_interactions=int(dataset.train.nnz),
        test_interactions=int(dataset.test.nnz),
        item_features=dataset.item_columns,
        user_features=dataset.user_columns,
    )
