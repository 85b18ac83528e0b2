"""The questions, answered from one snapshot. Knows no gRPC, threads or clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from publication.ranking import best
from publication.search_effort import candidates_for
from publication.vector_space import Float32Array, user_queries
from retriever.errors import InvalidArgumentError, UnknownIdError
from retriever.index.protocol import SearchIndex
from retriever.snapshot import Snapshot

DEFAULT_LIMIT = 10
MAX_LIMIT = 1000
MIN_EFFORT = 0.1
MAX_EFFORT = 100.0

Rows = NDArray[np.int64]
Checkpoint = Callable[[], None]
"""Called between the stages of a query; it raises when nobody waits for the answer any more."""


def always_wanted() -> None:
    """The checkpoint that never raises."""


@dataclass(frozen=True)
class Search:
    """How hard to search.

    Attributes:
        effort: relative to the effort that was tuned for the publication's recall, in
            MIN_EFFORT..MAX_EFFORT.
        exact: look at every item instead of asking the index.
    """

    effort: float = 1.0
    exact: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError unless the effort is in range."""
        # Written so that NaN is out of range too.
        if not MIN_EFFORT <= self.effort <= MAX_EFFORT:
            raise InvalidArgumentError(
                "search_effort",
                f"is {self.effort:g}, but should be in {MIN_EFFORT:g}..{MAX_EFFORT:g}",
            )


AS_TUNED = Search()


@dataclass(frozen=True)
class Ranking:
    """Item rows (k,) int64 and their scores (k,) float32, best first, equal scores by row."""

    rows: Rows
    scores: Float32Array


def similar_items(
    snapshot: Snapshot,
    item_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    search: Search = AS_TUNED,
    checkpoint: Checkpoint = always_wanted,
) -> Ranking:
    """The items whose embeddings have the highest cosine to one item's, without that item.

    Raises:
        InvalidArgumentError: limit isn't in 1..MAX_LIMIT.
        UnknownIdError: the item isn't in the publication.
    """
    check_limit(limit)
    row = snapshot.publication.items.row(item_id)
    if row is None:
        raise UnknownIdError("item", item_id, snapshot.version)
    query = snapshot.item_embeddings[row]
    checkpoint()
    candidates = _candidates(
        snapshot.similar,
        snapshot.similar_exact,
        query,
        limit=limit,
        excluded=np.array([row], dtype=np.int32),
        search=search,
        checkpoint=checkpoint,
    )
    return _ranking(candidates, _cosines(snapshot.item_embeddings[candidates], query), limit)


def recommend(
    snapshot: Snapshot,
    user_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    exclude_seen: bool = True,
    search: Search = AS_TUNED,
    checkpoint: Checkpoint = always_wanted,
) -> Ranking:
    """The items that LightFM scores highest for a user: `u·i + b_u + b_i`.

    Raises:
        InvalidArgumentError: limit isn't in 1..MAX_LIMIT.
        UnknownIdError: the user isn't in the publication.
    """
    check_limit(limit)
    publication = snapshot.publication
    row = publication.users.row(user_id)
    if row is None:
        raise UnknownIdError("user", user_id, snapshot.version)
    vector = publication.user_vectors[row]
    query = user_queries(vector)
    seen = publication.seen[row] if exclude_seen else _NOTHING
    checkpoint()
    candidates = _candidates(
        snapshot.recommend,
        snapshot.recommend_exact,
        query,
        limit=limit,
        excluded=seen,
        search=search,
        checkpoint=checkpoint,
    )
    scores = publication.item_vectors[candidates] @ query
    # The user's own bias doesn't change the order, but the score is LightFM's prediction.
    return _ranking(candidates, scores + vector[-1], limit)


_NOTHING: NDArray[np.int32] = np.empty(0, dtype=np.int32)


def check_limit(limit: int) -> None:
    """Raise InvalidArgumentError unless limit is in 1..MAX_LIMIT."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgumentError("limit", f"is {limit}, but should be in 1..{MAX_LIMIT}")


def _candidates(
    index: SearchIndex,
    exact: SearchIndex,
    query: Float32Array,
    *,
    limit: int,
    excluded: NDArray[np.int32],
    search: Search,
    checkpoint: Checkpoint,
) -> Rows:
    """Rows near a query, less the excluded ones; at least `limit` if the catalogue has them."""
    if not search.exact:
        wanted = candidates_for(limit, index.candidates, len(excluded))
        candidates = _without(index.search(query, wanted, search.effort), excluded)
        if len(candidates) >= limit:
            return candidates
        # The index gave up early; the catalogue may still hold enough.
        checkpoint()
    return _without(exact.search(query, limit + len(excluded)), excluded)


def _without(rows: Rows, excluded: NDArray[np.int32]) -> Rows:
    """The rows that aren't in `excluded`, which is in ascending order."""
    if not len(excluded):
        return rows
    places = excluded.searchsorted(rows)
    kept: Rows = rows[excluded.take(places, mode="clip") != rows]
    return kept


def _cosines(vectors: Float32Array, query: Float32Array) -> Float32Array:
    # Apart, since float32 may not hold the product of two squared norms.
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) * np.sqrt(query @ query)
    # Rounding may leave the range that is promised.
    cosines: Float32Array = np.clip(vectors @ query / norms, -1, 1)
    return cosines


def _ranking(candidates: Rows, scores: Float32Array, limit: int) -> Ranking:
    # Candidates come in any order, and equal scores are to be in the order of their rows.
    by_row = np.argsort(candidates)
    candidates, scores = candidates[by_row], scores[by_row]
    order = best(scores, limit)
    return Ranking(candidates[order], scores[order])
