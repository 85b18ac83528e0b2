"""From interactions to a publication, top to bottom."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightfm import LightFM

from publication import layout
from publication.manifest import DatasetFacts
from publication.writer import Clock, Staging, utc_now
from trainer.dataset import Dataset, Split, build_dataset
from trainer.embeddings import extract_embeddings
from trainer.evaluation import evaluate
from trainer.features import FeatureTable
from trainer.interactions import Interactions
from trainer.model import Hyperparameters, train
from trainer.progress import Reporter, Silent
from trainer.publishing import Indexing, Publishable, Published, publish
from trainer.timings import Timings

_LIBRARIES = ("rectools-lightfm", "scipy")


@dataclass(frozen=True)
class TrainingInput:
    """What was read from files."""

    interactions: Interactions
    items: FeatureTable = field(default_factory=FeatureTable)
    users: FeatureTable = field(default_factory=FeatureTable)


@dataclass(frozen=True)
class TrainingResult(Published):
    """What `train_and_publish` made."""

    model: LightFM
    dataset: Dataset


def train_and_publish(
    source: TrainingInput,
    volume: Path,
    *,
    hyperparameters: Hyperparameters,
    split: Split,
    indexing: Indexing,
    label: str | None = layout.DEFAULT_LABEL,
    reporter: Reporter | None = None,
    clock: Clock = utc_now,
) -> TrainingResult:
    """Train, evaluate, index, publish, verify, and move the label.

    Raises:
        TrainerError: the data or the training is at fault, or an index isn't good enough.
        PublicationError: the volume is, or the vectors can't be indexed.
    """
    reporter = reporter or Silent()
    timings = Timings(clock)
    with timings.stage("dataset"):
        dataset = build_dataset(
            source.interactions,
            items=source.items,
            users=source.users,
            split=split,
            seed=hyperparameters.seed,
        )
    # A volume that can't be written is known before the training, not after it.
    with Staging(volume):
        pass
    with timings.stage("fit"), reporter.step("Training, epochs", hyperparameters.epochs) as advance:
        model = train(dataset, hyperparameters, on_epoch=lambda: advance(1))
    with timings.stage("evaluate"):
        metrics = evaluate(model, dataset, threads=hyperparameters.threads, seed=hyperparameters.seed)
    published = publish(
        Publishable(
            items=dataset.items,
            users=dataset.users,
            embeddings=extract_embeddings(model, dataset),
            seen=dataset.seen(),
            held_out=dataset.held_out(),
            titles=dataset.titles,
            facts=_facts(dataset),
            hyperparameters=asdict(hyperparameters),
            metrics=metrics,
            libraries=_LIBRARIES,
        ),
        volume,
        indexing=indexing,
        label=label,
        timings=timings,
        reporter=reporter,
    )
    return TrainingResult(
        manifest=published.manifest,
        label=label,
        seconds=published.seconds,
        warnings=[*dataset.warnings, *published.warnings],
        model=model,
        dataset=dataset,
    )


def _facts(dataset: Dataset) -> DatasetFacts:
    return DatasetFacts(
        name=dataset.name,
        split=dataset.split,
        train_interactions=int(dataset.train.nnz),
        test_interactions=int(dataset.test.nnz),
        item_features=dataset.item_columns,
        user_features=dataset.user_columns,
    )
