"""Measures what users get from each backend: precision on held-out items, and some samples."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import MeasuredSetting
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, unit_rows
from trainer.evaluation.held_out_test import with_positives
from trainer.evaluation.of_vectors import precision_at_10
from trainer.fitting.embeddings import Embeddings
from trainer.index.tuning import TunedIndex, tune
from trainer.progress import Reporter
from trainer.publishing.questions import SPACES, questions
from trainer.report.subject import ReportOptions, embeddings_of, name_of, some_users

_SAMPLES = 10
_SHOWN = 3
_WITHOUT_BIASES = "recommend without biases"


@dataclass(frozen=True)
class Precision:
    """Precision@10 of a backend: among all items or unseen ones, with or without item biases."""

    backend: str
    all_items: float
    unseen: float
    all_items_without_biases: float
    unseen_without_biases: float


@dataclass(frozen=True)
class Sample:
    """A user or an item, and the answer of each backend, by name."""

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


def measure_accuracy(subject: Publication, options: ReportOptions, reporter: Reporter) -> Accuracy:
    """Build and tune each backend's indexes of a publication, and query them."""
    seed = options.tuning.seed
    with tempfile.TemporaryDirectory() as directory:
        tuned: dict[str, dict[str, TunedIndex]] = {}
        for name in (*SPACES, _WITHOUT_BIASES):
            embeddings = embeddings_of(subject, item_biases=name != _WITHOUT_BIASES)
            index = layout.RECOMMEND if name == _WITHOUT_BIASES else name
            asked = questions(index, embeddings, subject.seen, seed=seed)
            tuned[name] = {}
            for backend in options.backends:
                own = Path(directory) / f"{name}-{backend.name}"
                own.mkdir()
                tuned[name][backend.name] = tune(
                    [backend], asked, own, options.tuning, reporter=reporter, name=name
                )
        indexes = {name: tuned[name].values() for name in SPACES}
        return Accuracy(
            {name: _distinct(own) for name, own in indexes.items()},
            {name: [index.choice.trial for index in own] for name, own in indexes.items()},
            []
            if subject.held_out is None
            else [_precision(subject, subject.held_out, own.name, tuned) for own in options.backends],
            _sample_users(subject, tuned[layout.RECOMMEND], seed),
            _sample_items(subject, tuned[layout.SIMILAR], seed),
        )


def _precision(
    subject: Publication, held_out: Ragged, backend: str, tuned: dict[str, dict[str, TunedIndex]]
) -> Precision:
    nothing = ragged.empty(len(subject.users))
    users = with_positives(held_out)
    with_biases = (embeddings_of(subject), tuned[layout.RECOMMEND][backend])
    without = (embeddings_of(subject, item_biases=False), tuned[_WITHOUT_BIASES][backend])
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
    """Yield each user's ten best items, which an index finds and exact scores rank."""
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


def _sample_users(subject: Publication, indexes: dict[str, TunedIndex], seed: int) -> list[Sample]:
    queries, vectors = embeddings_of(subject).queries, subject.vectors[0]
    samples = []
    for user in some_users(subject, _SAMPLES, seed=seed).tolist():
        query, seen = queries[user], subject.seen[user]
        known = _names(subject, seen[best(vectors[seen] @ query, _SHOWN)])
        answers = {
            name: _names(subject, _ask(index, query, vectors, seen, _SHOWN))
            for name, index in indexes.items()
        }
        samples.append(Sample(f"user {subject.users.external_id(user)}", known, answers))
    return samples


def _sample_items(subject: Publication, indexes: dict[str, TunedIndex], seed: int) -> list[Sample]:
    vectors = unit_rows(embeddings_of(subject).item_embeddings)
    samples = []
    # Popular items, so that a reader can judge the answers.
    popular = best(np.bincount(subject.seen.values, minlength=len(vectors)).astype(np.float32), 200)
    chosen = np.random.default_rng(seed).permutation(popular)[:_SAMPLES]
    for item in chosen.tolist():
        own = np.array([item], dtype=np.int32)
        answers = {
            name: _names(subject, _ask(index, vectors[item], vectors, own, _SHOWN))
            for name, index in indexes.items()
        }
        samples.append(Sample(name_of(subject, item), [], answers))
    return samples


def _names(subject: Publication, items: NDArray[np.integer]) -> list[str]:
    return [name_of(subject, row) for row in items.tolist()]


def _distinct(indexes: Iterable[TunedIndex]) -> list[MeasuredSetting]:
    """Return all trials. All indexes have the same exact search, so it appears once."""
    kept: dict[str, MeasuredSetting] = {}
    for trial in (trial for index in indexes for trial in index.facts.trials):
        kept.setdefault(f"{trial.backend} {trial.build} {trial.query}", trial)
    return list(kept.values())
