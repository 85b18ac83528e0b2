"""Score all items for users, with any kind of model: the one way in which models are evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.vectors.vector_space import Float32Array, user_queries
from trainer.index.exact import score_chunks

_CHUNK_SCORES = 1 << 23
# A block and a sorted copy of it stay in the processor's cache.
_BLOCK_SCORES = 1 << 19


class UserScores(Protocol):
    """The scores of a model for its users, by row."""

    @property
    def items(self) -> int:
        """Return the number of items."""

    def chunks(self, users: NDArray[np.int64]) -> Iterator[Float32Array]:
        """Yield the scores (n, items) float32 of some users at a time, in the order of `users`.

        Each array is fresh, so that a caller may change it. Users' biases may be missing, since they
        don't change the order of items.
        """


@dataclass(frozen=True)
class VectorScores:
    """Scores by inner products of vectors.

    Attributes:
        item_vectors, user_vectors: (n, components + 1) float32, embedding then bias.
    """

    item_vectors: Float32Array
    user_vectors: Float32Array

    @property
    def items(self) -> int:
        """See UserScores."""
        return len(self.item_vectors)

    def chunks(self, users: NDArray[np.int64]) -> Iterator[Float32Array]:
        """See UserScores."""
        for _, scores in score_chunks(user_queries(self.user_vectors[users]), self.item_vectors):
            yield scores


@dataclass(frozen=True)
class NeighbourScores:
    """Scores by the neighbours of the items of each user.

    Attributes:
        neighbours: of each item.
        profiles: for each user the item rows whose neighbours count.
    """

    neighbours: Neighbours
    profiles: Ragged

    @property
    def items(self) -> int:
        """See UserScores."""
        return len(self.neighbours)

    def chunks(self, users: NDArray[np.int64]) -> Iterator[Float32Array]:
        """See UserScores."""
        n, rows = len(self.neighbours), self.neighbours.rows
        matrix = sp.csr_matrix((self.neighbours.weights, rows.values, rows.offsets), shape=(n, n))
        step = max(1, _CHUNK_SCORES // max(1, n))
        for start in range(0, len(users), step):
            chosen = [self.profiles[row] for row in users[start : start + step].tolist()]
            ends = np.cumsum([0, *map(len, chosen)])
            columns = np.concatenate(chosen)
            ones = np.ones(len(columns), dtype=np.float32)
            seen = sp.csr_matrix((ones, columns, ends), shape=(len(chosen), n))
            yield (seen @ matrix).toarray().astype(np.float32, copy=False)


@dataclass(frozen=True)
class SameScores:
    """The same scores for every user, such as the popularity of items.

    Attributes:
        scores: (items,) float32.
    """

    scores: Float32Array

    @property
    def items(self) -> int:
        """See UserScores."""
        return len(self.scores)

    def chunks(self, users: NDArray[np.int64]) -> Iterator[Float32Array]:
        """See UserScores."""
        step = max(1, _CHUNK_SCORES // max(1, len(self.scores)))
        for start in range(0, len(users), step):
            yield np.tile(self.scores, (min(step, len(users) - start), 1))


def model_scores(
    vectors: tuple[Float32Array, Float32Array] | None,
    neighbours: Neighbours | None,
    profiles: Ragged | None,
) -> UserScores:
    """Return the scores of a model with vectors of items and users, or neighbours and profiles."""
    if vectors is not None:
        return VectorScores(*vectors)
    if neighbours is None or profiles is None:
        raise ValueError("a model has vectors, or neighbours and profiles")
    return NeighbourScores(neighbours, profiles)


def top(
    scores: UserScores,
    users: NDArray[np.int64],
    excluded: Ragged | None,
    count: int,
    ties: NDArray[np.integer] | None = None,
) -> NDArray[np.int64]:
    """Return the best items (users, count) by row, best first; -1 where no item is left.

    Args:
        scores: of any model.
        users: rows of users, (users,).
        excluded: for each row of a user the item rows to leave out; None for none.
        count: results of each user.
        ties: (items,) the order of items with equal scores; None for the order of rows.
    """
    found = [np.empty((0, count), dtype=np.int64)]
    for own, block in blocks(scores, users):
        if excluded is not None:
            for place, user in enumerate(own.tolist()):
                block[place, excluded[user]] = -np.inf
        found.append(best_rows(block, count, ties))
    return np.concatenate(found)


def blocks(
    scores: UserScores, users: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Float32Array]]:
    """Yield rows of users and their scores, which the caller may change."""
    step = max(1, _BLOCK_SCORES // max(1, scores.items))
    done = 0
    for chunk in scores.chunks(users):
        for start in range(0, len(chunk), step):
            block = chunk[start : start + step]
            yield users[done : done + len(block)], block
            done += len(block)


def best_rows(
    scores: Float32Array, count: int, ties: NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """Return the positions (n, count) of the highest scores of each row (n, items), highest first.

    Equal scores are in the order of `ties` (items,), or by position. Items with the score -inf or NaN
    are left out; -1 fills the row.
    """
    items = scores.shape[1]
    width = min(count, items)
    found = np.full((len(scores), width), -1, dtype=np.int64)
    if not len(scores):
        return np.empty((0, count), dtype=np.int64)
    if np.isnan(scores.max(axis=1)).any():
        scores = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    threshold = np.partition(scores, items - width, axis=1)[:, items - width]
    least = np.maximum(threshold, np.finfo(np.float32).min)
    flat = np.flatnonzero(scores >= least[:, None])
    rows, columns = np.divmod(flat, items)
    ends = np.cumsum(np.bincount(rows, minlength=len(scores)))
    starts = np.concatenate([[0], ends[:-1]])
    kept = np.ones(len(flat), dtype=bool)
    for row in np.flatnonzero(ends - starts > width).tolist():
        # Of the items that are equal to the last one, only the first fit.
        own = slice(starts[row], ends[row])
        equal = starts[row] + np.flatnonzero(scores[row, columns[own]] == least[row])
        if ties is not None:
            equal = equal[np.argsort(ties[columns[equal]], kind="stable")]
        too_many = ends[row] - starts[row] - width
        kept[equal[len(equal) - too_many :]] = False
    rows, columns = rows[kept], columns[kept]
    places = np.arange(len(rows)) - np.searchsorted(rows, np.arange(len(scores)))[rows]
    values = np.full((len(scores), width), -np.inf, dtype=np.float32)
    values[rows, places] = scores[rows, columns]
    found[rows, places] = columns
    if ties is not None:
        last = np.iinfo(np.int64).max
        first = np.argsort(np.where(found >= 0, ties[found], last), axis=1, kind="stable")
        found, values = (np.take_along_axis(own, first, axis=1) for own in (found, values))
    order = np.argsort(-values, axis=1, kind="stable")
    return np.pad(
        np.take_along_axis(found, order, axis=1), ((0, 0), (0, count - width)), constant_values=-1
    )
