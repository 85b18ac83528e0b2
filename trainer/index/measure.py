"""How well an index answers, measured against exact search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from publication.ragged import Ragged
from publication.ranking import best, row_norms, unit_rows
from publication.search_effort import TUNED_FOR, candidates_for
from publication.vector_space import Float32Array
from trainer.index.exact import score_chunks
from trainer.index.protocol import BuiltIndex, Space

MAX_QUERIES = 1000
# Scoring every item for every query takes most of the time on a large catalogue, where fewer do: 3,000
# neighbours still tell recall to half a percent.
_MAX_SCORES = 300_000_000
# Slow searches are measured with fewer of them: as many as fit into this, but some at the least.
_SECONDS = 2.0
_MIN_QUERIES = 100
# Two items whose scores differ by less, relative to the norms of item and query, are as good as each
# other: duplicates of one vector. float32 can't tell them apart.
_TIE = 1e-6


@dataclass(frozen=True)
class Measurement:
    """Recall@10 in [0, 1] and the median time of one query in microseconds, on one thread."""

    recall_at_10: float
    query_microseconds: float
    queries: int


class Questions:
    """Queries whose true ten nearest are known, asked as the retriever asks.

    Args:
        vectors: (n, d), what is indexed, before any transform.
        queries: (m, d), of which a sample of at most MAX_QUERIES is asked, in random order; of a large
            catalogue's fewer.
        space: what nearest means.
        excluded: for each query the rows that aren't answers, ascending: the item itself, or what
            a user has seen.
        seed: of the sample.
    """

    def __init__(
        self,
        vectors: Float32Array,
        queries: Float32Array,
        space: Space,
        *,
        excluded: Ragged,
        seed: int,
    ) -> None:
        chosen = np.random.default_rng(seed).permutation(len(queries))
        chosen = chosen[: min(MAX_QUERIES, max(_MIN_QUERIES, _MAX_SCORES // len(vectors)))]
        queries = np.ascontiguousarray(queries[chosen])
        self._vectors = unit_rows(vectors) if space == "cosine" else vectors
        self._queries = unit_rows(queries) if space == "cosine" else queries
        self._norms, self._query_norms = row_norms(self._vectors), row_norms(self._queries)
        self._excluded = [excluded[row] for row in chosen.tolist()]
        self._wanted = [min(TUNED_FOR, len(vectors) - len(rows)) for rows in self._excluded]
        self._thresholds = np.full(len(queries), np.inf, dtype=np.float32)
        for rows, scores in score_chunks(self._queries, self._vectors):
            for position, own in zip(range(rows.start, rows.stop), scores, strict=True):
                self._thresholds[position] = self._threshold(own, position)

    def __len__(self) -> int:
        return len(self._queries)

    def _threshold(self, scores: Float32Array, position: int) -> float:
        """What an item's score has to be at the least for it to be among the ten nearest."""
        wanted = self._wanted[position]
        if wanted == 0:
            return np.inf
        scores[self._excluded[position]] = -np.inf
        kth = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        norm = self._norms[scores == kth].max() * self._query_norms[position]
        return float(kth - _TIE * norm)

    def ask(self, built: BuiltIndex, effort: int) -> Measurement:
        """Search for candidates, score them exactly, keep the best ten."""
        return self._ask(
            lambda query, excluded: built.index.search(
                query, candidates_for(TUNED_FOR, built.candidates, excluded), effort
            )
        )

    def ask_bare(self, built: BuiltIndex, effort: int) -> Measurement:
        """The same for just as many candidates as there can be answers."""
        return self._ask(
            lambda query, excluded: built.index.search(query, TUNED_FOR + excluded, effort)
        )

    def _ask(self, search: Callable[[Float32Array, int], NDArray[np.int64]]) -> Measurement:
        found = wanted = 0
        nanoseconds: list[int] = []
        ends = time.perf_counter() + _SECONDS
        # A worker answers a request on one thread.
        with threadpool_limits(1):
            for position, query in enumerate(self._queries):
                if position >= _MIN_QUERIES and time.perf_counter() > ends:
                    break
                excluded = self._excluded[position]
                started = time.perf_counter_ns()
                rows = search(query, len(excluded))
                if len(excluded):
                    places = excluded.searchsorted(rows)
                    rows = rows[excluded.take(places, mode="clip") != rows]
                scores = self._vectors[rows] @ query
                top = best(scores, TUNED_FOR)
                nanoseconds.append(time.perf_counter_ns() - started)
                found += int((scores[top] >= self._thresholds[position]).sum())
                wanted += self._wanted[position]
        return Measurement(
            recall_at_10=min(1.0, found / wanted) if wanted else 1.0,
            query_microseconds=float(np.median(nanoseconds)) / 1000,
            queries=len(nanoseconds),
        )
