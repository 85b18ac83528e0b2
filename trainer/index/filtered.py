"""Measure an index under filters: only some items may be returned, as by conditions on attributes."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import (
    TUNED_FOR,
    WIDER,
    Depths,
    IndexCosts,
    candidates_for,
    count_under_filter,
)
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.index.measure import Measurement, Questions
from trainer.index.protocol import BuiltIndex, Space

# The shares of items that match. Under a filter that lets fewer through, all matching items are scored.
SHARES = (0.5, 0.25, 0.1)


class FilteredQuestions(Questions):
    """Queries for some of the items, drawn at random for each query. The shares take turns.

    The arguments are those of Questions. The seed also draws the items.
    """

    def __init__(
        self, vectors: Float32Array, queries: Float32Array, space: Space, *, excluded: Ragged, seed: int
    ) -> None:
        self._seed = seed
        super().__init__(vectors, queries, space, excluded=excluded, seed=seed)

    def _matching(self, position: int) -> NDArray[np.bool_]:
        random = np.random.default_rng([self._seed, position])
        share = np.float32(SHARES[position % len(SHARES)])
        matching: NDArray[np.bool_] = random.random(len(self.vectors), dtype=np.float32) < share
        return matching

    def _hide(self, scores: Float32Array, position: int) -> int:
        matching = self._matching(position)
        matching[self._excluded[position]] = False
        scores[~matching] = -np.inf
        return int(matching.sum())

    def ask_filtered(
        self, built: BuiltIndex, effort: int, depths: Depths, costs: IndexCosts
    ) -> Measurement:
        """Search as a retriever does: wider until enough match, or exactly if that is faster.

        `effort` is the tuned one, `depths` and `costs` are those by which the retriever decides.
        """
        # Imported here, since the flags need only the defaults of tuning.
        from threadpoolctl import threadpool_limits

        found = wanted = 0
        nanoseconds: list[int] = []
        with threadpool_limits(1), np.errstate(invalid="ignore"):
            for position, query in enumerate(self._queries):
                matching, possible = self._matching(position), self._wanted(position, TUNED_FOR)
                started = time.perf_counter_ns()
                rows = self._candidates(built, effort, position, matching, (depths, costs))
                scores = self._best_scores(query, rows, TUNED_FOR)
                nanoseconds.append(time.perf_counter_ns() - started)
                found += int((scores >= self._thresholds[TUNED_FOR][position]).sum())
                wanted += possible
        return Measurement(
            recall=min(1.0, found / wanted) if wanted else 1.0,
            query_microseconds=float(np.median(nanoseconds)) / 1000,
        )

    def _candidates(
        self,
        built: BuiltIndex,
        effort: int,
        position: int,
        matching: NDArray[np.bool_],
        rules: tuple[Depths, IndexCosts],
    ) -> NDArray[np.int64]:
        """Return the candidates of the index, or all matching rows where a retriever scores these."""
        depths, costs = rules
        items, most, excluded = len(matching), int(matching.sum()), self._excluded[position]
        extra = max(0, built.candidates - TUNED_FOR)
        enough = TUNED_FOR + int(np.ceil(extra * most / items))
        count = count_under_filter(TUNED_FOR, items=items, most=most)
        width, query = candidates_for(count, built.candidates, len(excluded)), self._queries[position]
        while width < items and costs.pay(width, items=items, most=most):
            if (depth := width - extra - len(excluded)) > depths.most:
                break
            rows = built.index.search(query, width, effort, depths.effort(depth))
            rows = rows[matching[rows] & ~are_among(rows, excluded)]
            if len(rows) >= enough:
                return rows
            width *= WIDER
        rows = np.flatnonzero(matching)
        return rows[~are_among(rows, excluded)]
