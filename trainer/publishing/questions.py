"""Draw the questions by which an index is tuned and measured: one sample for each way of asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.search_effort import Way
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    row_norms,
    unit_rows,
    user_queries,
)
from trainer.fitting.embeddings import Embeddings, UserFeatureVectors
from trainer.index.exact import sample
from trainer.index.filtered import FilteredQuestions
from trainer.index.measure import Questions
from trainer.index.protocol import Space
from trainer.publishing.publishable import Publishable

SPACES: dict[str, Space] = {layout.SIMILAR: "cosine", layout.RECOMMEND: "inner_product"}

# Questions of each way but the usual one: 5,000 neighbours measure recall to half a percent.
MOST_QUESTIONS = 500
# The lengths of sessions are spread evenly on a logarithmic scale, up to this one.
_LONGEST_SESSION = 100
_MOST_FEATURES = 3
# As many questions measure recall to a few percent at least.
_ENOUGH_FEATURES = 50
# A shorter mean of unit vectors has no meaningful direction.
_SHORTEST_MEAN = 1e-4

Asked = tuple[Float32Array, Ragged]
"""Queries (m, d), and for each query the ascending rows that aren't answers."""


def questions(name: str, embeddings: Embeddings, seen: Ragged, *, seed: int) -> Questions:
    """Return the usual queries of an index, by which it is tuned.

    They are items, which don't find themselves, or users, who don't find seen items.
    """
    vectors = _vectors(name, embeddings)
    asked, excluded = _usual(name, embeddings, seen)
    if name == layout.SIMILAR:
        return Questions(vectors, asked, "cosine", excluded=excluded, seed=seed)
    return Questions(
        vectors, asked, "inner_product", excluded=excluded, seed=seed, prepare=user_queries
    )


def other_ways(
    name: str, source: Publishable, fold_in: FoldIn | None, *, seed: int
) -> dict[Way, Callable[[], Questions]]:
    """Return what makes the questions of the other ways in which retrievers can ask an index.

    Sessions need `fold_in`, features need published user features.
    """
    embeddings, seen = source.vectors, source.seen
    usual = partial(_sample_of_usual, name, embeddings, seen, seed=seed)
    drawn: dict[Way, Callable[[], Asked]] = {}
    if name == layout.SIMILAR:
        drawn["items"] = partial(_several_items, embeddings, seen, seed=seed)
    else:
        if len(embeddings.user_vectors):
            drawn["with_seen"] = lambda: _keeping_all(usual())
        if fold_in is not None:
            sessions = partial(_sessions, embeddings, seen, fold_in, seed=seed)
            drawn["session"] = sessions
            drawn["session_with_seen"] = lambda: _keeping_all(sessions())
        if (features := source.user_features) is not None and len(features.names):
            drawn["features"] = partial(_features, features, seed=seed)
    made: dict[Way, Callable[[], Questions]] = {
        way: partial(_made, Questions, name, embeddings, draw, seed=seed) for way, draw in drawn.items()
    }
    made["filtered"] = partial(_made, FilteredQuestions, name, embeddings, usual, seed=seed)
    return made


def _made(
    kind: type[Questions],
    name: str,
    embeddings: Embeddings,
    draw: Callable[[], Asked],
    *,
    seed: int,
) -> Questions:
    queries, excluded = draw()
    return kind(_vectors(name, embeddings), queries, SPACES[name], excluded=excluded, seed=seed)


def _vectors(name: str, embeddings: Embeddings) -> Float32Array:
    return embeddings.item_embeddings if name == layout.SIMILAR else embeddings.item_vectors


def _usual(name: str, embeddings: Embeddings, seen: Ragged) -> Asked:
    if name == layout.SIMILAR:
        rows = np.arange(len(embeddings.item_vectors) + 1)
        return embeddings.item_embeddings, Ragged(rows, rows[:-1].astype(np.int32))
    if len(embeddings.user_vectors):
        return embeddings.user_vectors, seen
    # Without users, item vectors are the best guess of future queries.
    return embeddings.item_vectors, ragged.empty(len(embeddings.item_vectors))


def _sample_of_usual(name: str, embeddings: Embeddings, seen: Ragged, *, seed: int) -> Asked:
    asked, excluded = _usual(name, embeddings, seen)
    # Other queries than those of the tuning, where there are enough.
    rows = sample(len(asked), MOST_QUESTIONS, seed=seed + 1)
    queries = asked[rows] if name == layout.SIMILAR else user_queries(asked[rows])
    return np.ascontiguousarray(queries), _rows_of([excluded[row] for row in rows.tolist()])


def _keeping_all(asked: Asked) -> Asked:
    queries, _ = asked
    return queries, ragged.empty(len(queries))


def _sessions(embeddings: Embeddings, seen: Ragged, fold_in: FoldIn, *, seed: int) -> Asked:
    """Fold parts of users' seen items in; single items if no user has seen any."""
    random = np.random.default_rng(seed)
    items = embeddings.item_embeddings
    sessions = _baskets(len(items), seen, random, least=1)
    queries = np.ones((len(sessions), items.shape[1] + 1), dtype=np.float32)
    for query, rows in zip(queries, sessions, strict=True):
        query[:-1] = fold_in.parts(items[rows], np.ones(len(rows), dtype=np.float32)).sum(axis=0)
    return queries, _rows_of(sessions)


def _several_items(embeddings: Embeddings, seen: Ragged, *, seed: int) -> Asked:
    """Take the mean directions of several items that a user has seen."""
    items = embeddings.item_embeddings
    baskets = _baskets(len(items), seen, np.random.default_rng(seed), least=min(2, len(items)))
    means = np.stack([unit_rows(items[rows]).mean(axis=0) for rows in baskets])
    kept = np.flatnonzero(row_norms(means) >= _SHORTEST_MEAN)
    return means[kept], _rows_of([baskets[place] for place in kept.tolist()])


def _features(features: UserFeatureVectors, *, seed: int) -> Asked:
    """Take single features, and if they are few, means of a few from different columns.

    The mean of several is nearer to the users whom the index was tuned for, so single features need the
    most effort.
    """
    random = np.random.default_rng(seed)
    columns: dict[str, list[int]] = {}
    for row, name in enumerate(features.names):
        columns.setdefault(name.partition(":")[0], []).append(row)
    of_columns = [*columns.values()]
    chosen = [[row] for row in sample(len(features.names), MOST_QUESTIONS, seed=seed).tolist()]
    while len(chosen) < _ENOUGH_FEATURES:
        count = random.integers(1, min(_MOST_FEATURES, len(of_columns)), endpoint=True)
        places = random.choice(len(of_columns), count, replace=False)
        chosen.append([random.choice(of_columns[place]) for place in places])
    queries = np.stack([features.vectors[rows].mean(axis=0) for rows in chosen])
    return user_queries(queries), ragged.empty(len(queries))


def _baskets(
    items: int, seen: Ragged, random: np.random.Generator, *, least: int
) -> list[NDArray[np.int32]]:
    """Draw parts of users' seen items: ascending rows, `least` of them or more."""
    lengths = np.diff(seen.offsets)
    users = np.flatnonzero(lengths >= least)
    if not len(users):
        count = min(items, MOST_QUESTIONS)
        return [
            np.sort(random.choice(items, least, replace=False)).astype(np.int32) for _ in range(count)
        ]
    baskets = []
    for user in random.permutation(users)[:MOST_QUESTIONS].tolist():
        most = min(_LONGEST_SESSION, int(lengths[user]))
        length = int(np.exp(random.uniform(np.log(least), np.log(most + 1))))
        rows = random.choice(seen[user], min(most, max(least, length)), replace=False)
        baskets.append(np.sort(rows).astype(np.int32))
    return baskets


def _rows_of(rows: Sequence[NDArray[np.int32]]) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum([len(own) for own in rows], dtype=np.int64)])
    values = np.concatenate([np.empty(0, dtype=np.int32), *rows]).astype(np.int32)
    return Ragged(offsets.astype(np.int64), values)
