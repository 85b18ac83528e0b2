"""How well an index answers, measured against exact search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from publication.ranking import best, unit_rows
from publication.vector_space import Float32Array
from trainer.index.exact import score_chunks
from trainer.index.protocol import BuiltIndex, Space

MAX_QUERIES = 1000
_K = 10
# Two items whose scores differ by less are as good as each other: duplicates of one vector.
_TIE = 1e-6


@dataclass(frozen=True)
class Measurement:
    """Recall@10 in [0, 1] and the median time of one query in microseconds, on one thread."""

    recall_at_10: float
    query_microseconds: float
    queries: int


@dataclass(frozen=True)
class IndexQuality:
    """As the retriever asks (more candidates, scored exactly), and for ten neighbours at once."""

    served: Measurement
    bare: Measurement


def measure(
    built: BuiltIndex,
    vectors: Float32Array,
    queries: Float32Array,
    space: Space,
    *,
    own_rows: bool,
    seed: int,
) -> IndexQuality:
    """Ask an index for the ten nearest of at most MAX_QUERIES queries.

    Args:
        built: the index.
        vectors: (n, d), what is indexed, before any transform.
        queries: (m, d), m >= 1, of which a sample is asked.
        space: what nearest means.
        own_rows: whether query r is item r, which then isn't an answer to itself.
        seed: of the sample.
    """
    chosen = np.arange(len(queries))
    if len(queries) > MAX_QUERIES:
        chosen = np.random.default_rng(seed).choice(chosen, MAX_QUERIES, replace=False)
        chosen.sort()
    if space == "cosine":
        vectors, queries = unit_rows(vectors), unit_rows(queries)
    asked = _Asked(vectors, queries[chosen], chosen if own_rows else None)
    extra = int(own_rows)

    def served(query: Float32Array) -> NDArray[np.int64]:
        return built.index.search(query, max(_K + extra, built.candidates))

    def bare(query: Float32Array) -> NDArray[np.int64]:
        return built.index.search(query, _K + extra)

    return IndexQuality(served=asked.ask(served), bare=asked.ask(bare))


class _Asked:
    """Queries with the score that a result needs to be among the true ten nearest."""

    def __init__(
        self, vectors: Float32Array, queries: Float32Array, own: NDArray[np.int64] | None
    ) -> None:
        self._vectors = vectors
        self._queries = queries
        self._own = own
        self._wanted = min(_K, len(vectors) - (own is not None))
        self._thresholds = np.empty(len(queries), dtype=np.float32)
        for rows, scores in score_chunks(queries, vectors):
            if own is not None:
                scores[np.arange(len(scores)), own[rows]] = -np.inf
            if self._wanted:
                kth = np.partition(scores, -self._wanted, axis=1)[:, -self._wanted]
                self._thresholds[rows] = kth - _TIE * np.maximum(1, np.abs(kth))

    def ask(self, search: Callable[[Float32Array], NDArray[np.int64]]) -> Measurement:
        """Search, score the candidates exactly, keep the best ten."""
        found = 0
        nanoseconds = []
        for position, query in enumerate(self._queries):
            started = time.perf_counter_ns()
            rows = search(query)
            if self._own is not None:
                rows = rows[rows != self._own[position]]
            scores = self._vectors[rows] @ query
            top = best(scores, _K)
            nanoseconds.append(time.perf_counter_ns() - started)
            found += int((scores[top] >= self._thresholds[position]).sum())
        wanted = self._wanted * len(self._queries)
        return Measurement(
            recall_at_10=min(1.0, found / wanted) if wanted else 1.0,
            query_microseconds=float(np.median(nanoseconds)) / 1000,
            queries=len(self._queries),
        )
