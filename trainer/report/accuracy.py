"""What users get from each backend: precision on held-out items, and samples to look at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import MeasuredSetting
from lightfm_retriever.publication.storage.id_map import ItemRow
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.ranking import best, unit_rows
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.evaluation.of_vectors import precision_at_10, with_positives
from trainer.fitting.embeddings import Embeddings
from trainer.index.protocol import Backend
from trainer.index.tuning import TunedIndex, TuningOptions, tune
from trainer.progress import Reporter
from trainer.publishing.publish import SPACES, questions
from trainer.report.subject import OpenedVersion, no_rows, some_users

_SAMPLES = 10
_SHOWN = 3


@dataclass(frozen=True)
class Precision:
    """precision@10 of one backend: of all items and of unseen ones, with item biases and without."""

    backend: str
    all_items: float
    unseen: float
    all_items_without_biases: float
    unseen_without_biases: float


@dataclass(frozen=True)
class Sample:
    """A user or an item, and what each backend answers, by name."""

    subject: str
    known: list[str]
    answers: dict[str, list[str]]


@dataclass(frozen=True)
class Accuracy:
    """Curves by index and backend, precision (empty when nothing was held out), and samples."""

    trials: dict[str, list[MeasuredSetting]]
    chosen: dict[str, list[MeasuredSetting]]
    precision: list[Precision]
    users: list[Sample]
    items: list[Sample]


def measure_accuracy(
    subject: OpenedVersion, backends: Sequence[Backend], *, options: TuningOptions, reporter: Reporter
) -> Accuracy:
    """Build every backend's indexes of a publication, tuned alike, and ask them."""
    trials: dict[str, list[MeasuredSetting]] = {}
    chosen: dict[str, list[MeasuredSetting]] = {}
    with tempfile.TemporaryDirectory() as directory:
        tuned: dict[str, dict[str, TunedIndex]] = {}
        for name in (*SPACES, _WITHOUT_BIASES):
            tuned[name] = {
                backend.name: _tuned(subject, name, backend, Path(directory), options, reporter)
                for backend in backends
            }
        for name in SPACES:
            trials[name] = _distinct(
                trial for index in tuned[name].values() for trial in index.facts.trials
            )
            chosen[name] = [
                MeasuredSetting(
                    backend=index.facts.backend,
                    build=index.facts.build,
                    query=index.facts.query,
                    recall_at_10=index.facts.recall_at_10,
                    query_microseconds=index.facts.query_microseconds,
                )
                for index in tuned[name].values()
            ]
        precision: list[Precision] = []
        if subject.held_out is not None:
            precision = [
                _precision(subject, subject.held_out, backend.name, tuned) for backend in backends
            ]
        return Accuracy(
            trials,
            chosen,
            precision,
            _sample_users(subject, tuned[layout.RECOMMEND], options.seed),
            _sample_items(subject, tuned[layout.SIMILAR], options.seed),
        )


_WITHOUT_BIASES = "recommend without biases"


def _tuned(
    subject: OpenedVersion,
    name: str,
    backend: Backend,
    directory: Path,
    options: TuningOptions,
    reporter: Reporter,
) -> TunedIndex:
    embeddings, index = subject.embeddings, name
    if name == _WITHOUT_BIASES:
        embeddings, index = subject.without_item_biases(), layout.RECOMMEND
    own = directory / f"{name}-{backend.name}"
    own.mkdir()
    return tune(
        [backend],
        questions(index, embeddings, subject.seen, seed=options.seed),
        own,
        options,
        reporter=reporter,
        name=name,
    )


def _precision(
    subject: OpenedVersion, held_out: Ragged, backend: str, tuned: dict[str, dict[str, TunedIndex]]
) -> Precision:
    nothing = no_rows(len(subject.users))
    users = with_positives(held_out)
    with_biases = (subject.embeddings, tuned[layout.RECOMMEND][backend])
    without = (subject.without_item_biases(), tuned[_WITHOUT_BIASES][backend])
    return Precision(
        backend,
        *(
            precision_at_10(_answers(embeddings, index, users, excluded), held_out)
            for embeddings, index in (with_biases, without)
            for excluded in (nothing, subject.seen)
        ),
    )


def _answers(
    embeddings: Embeddings, index: TunedIndex, users: NDArray[np.int64], excluded: Ragged
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each user's ten best, found by an index and scored exactly."""
    for user, query in zip(users.tolist(), embeddings.queries[users], strict=True):
        yield user, _ask(index, query, embeddings.item_vectors, excluded[user], 10)


def _ask(
    index: TunedIndex,
    query: Float32Array,
    vectors: Float32Array,
    excluded: NDArray[np.int32],
    limit: int,
) -> NDArray[np.int64]:
    rows = index.search(query, limit=limit, excluded=len(excluded))
    rows = rows[~np.isin(rows, excluded)]
    return rows[best(vectors[rows] @ query, limit)]


def _sample_users(subject: OpenedVersion, indexes: dict[str, TunedIndex], seed: int) -> list[Sample]:
    embeddings = subject.embeddings
    samples = []
    for user in some_users(subject, _SAMPLES, seed=seed).tolist():
        query, seen = embeddings.queries[user], subject.seen[user]
        liked = seen[best(embeddings.item_vectors[seen] @ query, _SHOWN)]
        answers = {
            name: _ask(index, query, embeddings.item_vectors, seen, _SHOWN)
            for name, index in indexes.items()
        }
        samples.append(_sample(subject, f"user {subject.users.external_id(user)}", liked, answers))
    return samples


def _sample_items(subject: OpenedVersion, indexes: dict[str, TunedIndex], seed: int) -> list[Sample]:
    vectors = unit_rows(subject.embeddings.item_embeddings)
    samples = []
    # The ones that most users know, so that a reader can judge.
    popular = best(np.bincount(subject.seen.values, minlength=len(vectors)).astype(np.float32), 200)
    chosen = np.random.default_rng(seed).permutation(popular)[:_SAMPLES]
    for item in chosen.tolist():
        own = np.array([item], dtype=np.int32)
        answers = {
            name: _ask(index, vectors[item], vectors, own, _SHOWN) for name, index in indexes.items()
        }
        samples.append(_sample(subject, subject.name_of(item), [], answers))
    return samples


def _sample(
    subject: OpenedVersion,
    name: str,
    known: Sequence[int] | NDArray[np.int32],
    answers: dict[str, NDArray[np.int64]],
) -> Sample:
    return Sample(
        name,
        [subject.name_of(ItemRow(int(row))) for row in known],
        {backend: [subject.name_of(row) for row in rows.tolist()] for backend, rows in answers.items()},
    )


def _distinct(trials: Iterator[MeasuredSetting]) -> list[MeasuredSetting]:
    """Every backend's curve begins with the same exact search: once is enough."""
    kept: dict[str, MeasuredSetting] = {}
    for trial in trials:
        kept.setdefault(f"{trial.backend} {trial.build} {trial.query}", trial)
    return list(kept.values())
