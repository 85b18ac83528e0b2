"""From interactions to a publication, top to bottom."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightfm import LightFM

from publication import labels, layout
from publication.errors import LabelError
from publication.manifest import DatasetFacts
from publication.volume import FolderVolume
from publication.writer import Clock, Staging, utc_now
from trainer import predecessor, tables
from trainer import warm_start as warm
from trainer.cold_evaluation import evaluate_cold_of
from trainer.content import Content, columns_of, names_by_column, union, values_of
from trainer.dataset import Dataset, Split, build_dataset
from trainer.embeddings import extract_embeddings
from trainer.errors import OptionError
from trainer.evaluation import evaluate
from trainer.features import FeatureTable
from trainer.gates import GateResult, Gates
from trainer.indexing import Indexing
from trainer.interactions import Interactions
from trainer.model import Hyperparameters, train
from trainer.pair_weights import learning_warnings
from trainer.progress import Reporter, Silent
from trainer.promotion import (
    Checked,
    check_content,
    check_version,
    expected_of,
    promote_if_passed,
)
from trainer.publishable import Publishable
from trainer.publishing import publish
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
class TrainingResult(Checked):
    """What `train_and_publish` made, and how it did at the gates; `model` is LightFM's own, if any."""

    model: LightFM | None
    dataset: Dataset


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
        gates: what has to pass for the label to be moved; None for nothing at all, not even what
            always holds otherwise.
        warm_start: whether to go on from the model that the label names now.
        max_shrinkage: the largest share of the training interactions, and of their weight, of the
            version that the label names now that may be missing; see trainer.continuity. With `gates`.
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
    before = None if gates is None else predecessor.find(volume, label)
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
    results: list[GateResult] = []
    odd: list[str] = []
    # What is compared takes memory, if only for a moment.
    if gates is not None and before is not None:
        results, odd = check_content(
            _content(dataset),
            before,
            gates,
            label=label,
            warnings=dataset.warnings,
            max_shrinkage=max_shrinkage,
            seed=hyperparameters.seed,
        )
    # A volume that can't be written is known before the training, not after it.
    with Staging(volume):
        pass
    start = _start(volume, label, dataset, hyperparameters) if warm_start else None
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
        if gates is not None:
            version = published.manifest.version
            checked, worse = check_version(volume, version, before, gates, seed=hyperparameters.seed)
            results += checked
            odd += worse
    result = TrainingResult(
        manifest=published.manifest,
        label=None,
        seconds=timings.seconds,
        warnings=[
            *dataset.warnings,
            *odd,
            *trained.warnings,
            *_unweighted(dataset, hyperparameters),
            *published.warnings,
            *(cold if warm_start and start is None else []),
        ],
        model=trained.model,
        dataset=dataset,
        gates=results,
        expected=None if gates is None else expected_of(before),
    )
    return promote_if_passed(FolderVolume(volume), result, label=label) if promote else result


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


def _unweighted(dataset: Dataset, hyperparameters: Hyperparameters) -> list[str]:
    """A warning of weights that are asked for and aren't there."""
    if not hyperparameters.sample_weights or (dataset.train.data != 1).any():
        return []
    return [f"--sample-weights has nothing to weigh: all interactions of {dataset.name} weigh 1"]


def _start(
    volume: Path, label: str | None, dataset: Dataset, hyperparameters: Hyperparameters
) -> LightFM | None:
    """The model that the label names, fitted to the dataset's rows; None when there is none yet."""
    if label is None:
        raise OptionError("--warm-start", True, "used with a label, whose model it goes on from")
    try:
        version = labels.read_label(volume, label)
    except LabelError:
        return None
    state = warm.load(volume, version)
    return None if state is None else warm.warm_model(state, dataset, hyperparameters)


def _content(dataset: Dataset) -> Content:
    titles = dataset.titles
    return Content(
        items=dataset.items,
        users=dataset.users,
        seen=union(dataset.seen(), dataset.held_out(), len(dataset.items)),
        interactions=int(dataset.train.nnz + dataset.test.nnz),
        weight=dataset.weight(),
        attributes={own.name: own.kind for own in dataset.attributes},
        value=values_of(dataset.attributes),
        title=None if titles is None else titles.__getitem__,
        columns=columns_of(_facts(dataset)),
        names={
            **names_by_column("items", dataset.item_columns, dataset.item_feature_names),
            **names_by_column("users", dataset.user_columns, dataset.user_feature_names),
        },
    )


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
