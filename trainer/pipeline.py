"""From interactions to a publication, top to bottom."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightfm import LightFM

from publication import labels, layout, ragged, reader
from publication.manifest import DatasetFacts, IndexFacts, Manifest, RunFacts
from publication.writer import Clock, Staging, utc_now
from trainer.dataset import Dataset, Split, build_dataset
from trainer.embeddings import Embeddings, extract_embeddings
from trainer.evaluation import evaluate
from trainer.features import FeatureTable
from trainer.index.measure import measure
from trainer.index.protocol import Backend, Space
from trainer.interactions import Interactions
from trainer.model import Hyperparameters, train
from trainer.progress import Reporter, Silent

_LIBRARIES = ("annoy", "lightfm-retriever", "marisa-trie", "numpy", "rectools-lightfm", "scipy")


@dataclass(frozen=True)
class TrainingInput:
    """What was read from files."""

    interactions: Interactions
    items: FeatureTable = field(default_factory=FeatureTable)
    users: FeatureTable = field(default_factory=FeatureTable)


@dataclass(frozen=True)
class TrainingResult:
    """What `train_and_publish` made. `seconds` by stage; `label` is None when none was moved."""

    manifest: Manifest
    label: str | None
    seconds: Mapping[str, float]
    warnings: list[str]
    model: LightFM
    dataset: Dataset


def train_and_publish(
    source: TrainingInput,
    volume: Path,
    *,
    hyperparameters: Hyperparameters,
    split: Split,
    backend: Backend,
    label: str | None = layout.DEFAULT_LABEL,
    reporter: Reporter | None = None,
    clock: Clock = utc_now,
) -> TrainingResult:
    """Train, evaluate, index, publish, verify, and move the label.

    Raises:
        TrainerError: the data or the training is at fault.
        PublicationError: the volume is, or the vectors can't be indexed.
    """
    reporter = reporter or Silent()
    timings = _Timings()
    started_at = clock()
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
    embeddings = extract_embeddings(model, dataset)
    with Staging(volume, clock=clock) as staging:
        with timings.stage("index"):
            indexes = _build_indexes(embeddings, staging, backend, hyperparameters, reporter)
        with timings.stage("publish"):
            _stage_files(staging, dataset, embeddings)
            manifest = staging.publish(
                Manifest(
                    items=len(dataset.items),
                    users=len(dataset.users),
                    components=embeddings.components,
                    run=RunFacts(
                        id=f"cli-{started_at:%Y%m%dT%H%M%S.%fZ}",
                        started_at=started_at.isoformat(),
                        seconds=dict(timings.seconds),
                    ),
                    libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
                    dataset=_dataset_facts(dataset),
                    hyperparameters=asdict(hyperparameters),
                    metrics=metrics,
                    indexes=indexes,
                )
            )
    with timings.stage("verify"):
        reader.verify(volume, manifest.version)
    if label is not None:
        labels.promote(volume, manifest.version, label=label)
    return TrainingResult(manifest, label, timings.seconds, dataset.warnings, model, dataset)


def _build_indexes(
    embeddings: Embeddings,
    staging: Staging,
    backend: Backend,
    hyperparameters: Hyperparameters,
    reporter: Reporter,
) -> dict[str, IndexFacts]:
    """Build and measure both indexes: similar items by cosine, recommendations by inner product."""
    wanted: tuple[tuple[str, Space], ...] = (
        (layout.SIMILAR, "cosine"),
        (layout.RECOMMEND, "inner_product"),
    )
    indexes = {}
    for name, space in wanted:
        similar = space == "cosine"
        vectors = embeddings.item_embeddings if similar else embeddings.item_vectors
        with reporter.step(f"Index {name!r}, items", len(vectors)) as advance:
            built = backend.build(
                vectors,
                space,
                lambda suffix, name=name: staging.path(layout.index_file(name, suffix)),  # type: ignore[misc]
                seed=hyperparameters.seed,
                threads=hyperparameters.threads,
                on_items=advance,
            )
        quality = measure(
            built,
            vectors,
            vectors if similar else embeddings.queries,
            space,
            own_rows=similar,
            seed=hyperparameters.seed,
        )
        indexes[name] = IndexFacts(
            backend=built.backend,
            metric=built.metric,
            dimensions=built.dimensions,
            items=len(vectors),
            file=built.file,
            build=built.build,
            query=built.query,
            recall_at_10=quality.served.recall_at_10,
            query_microseconds=quality.served.query_microseconds,
            bare_recall_at_10=quality.bare.recall_at_10,
            bare_query_microseconds=quality.bare.query_microseconds,
        )
    return indexes


def _stage_files(staging: Staging, dataset: Dataset, embeddings: Embeddings) -> None:
    staging.add_id_map(layout.ITEM_IDS, dataset.items)
    staging.add_id_map(layout.USER_IDS, dataset.users)
    staging.add_array(layout.ITEM_VECTORS, embeddings.item_vectors)
    staging.add_array(layout.USER_VECTORS, embeddings.user_vectors)
    staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, dataset.seen())
    if dataset.titles is not None:
        titles = ragged.from_texts(dataset.titles)
        staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, titles)


def _dataset_facts(dataset: Dataset) -> DatasetFacts:
    return DatasetFacts(
        name=dataset.name,
        split=dataset.split,
        train_interactions=int(dataset.train.nnz),
        test_interactions=int(dataset.test.nnz),
        item_features=dataset.item_columns,
        user_features=dataset.user_columns,
    )


class _Timings:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 6)
