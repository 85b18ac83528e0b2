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
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, user_queries
from trainer.index.exact import score_chunks

_CHUNK_SCORES = 1 << 23


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
    found = np.full((len(users), count), -1, dtype=np.int64)
    place = 0
    for chunk in scores.chunks(users):
        for own in chunk:
            if excluded is not None:
                own[excluded[users[place]]] = -np.inf
            rows = best(own, min(count, len(own)), ties)
            rows = rows[np.isfinite(own[rows])]
            found[place, : len(rows)] = rows
            place += 1
    return found
