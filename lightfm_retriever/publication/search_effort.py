"""How much a search looks at: the setting that was tuned, scaled to what a request asks for.

Trainer and retriever search by the same rule, and decide by the same one whether the index is asked at
all, so that what was measured is what is served.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from lightfm_retriever.publication.manifest import TUNED_FOR as TUNED_FOR
from lightfm_retriever.publication.manifest import Depth

_MOST = 2**31 - 1

# Rough costs in microseconds, which only decide between two ways to the same answer; measured with a
# million items of 64 components. A row in order, a row out of order, a row to choose among.
ROW, SCATTERED_ROW, CHOICE = 0.025, 0.07, 0.005


@dataclass(frozen=True)
class IndexCosts:
    """What asking an index takes, in microseconds, as roughly: a search, and a candidate of it."""

    search: float = 80.0
    candidate: float = 1.5

    def pay(self, width: int, *, items: int, most: int) -> bool:
        """Whether to ask for `width` candidates takes less time than to score all that may be returned.

        Of `items` items `most` may be returned.
        """
        everything = min(most * SCATTERED_ROW, items * ROW + most * CHOICE)
        return self.search + width * self.candidate < everything


def candidates_for(limit: int, candidates: int, excluded: int) -> int:
    """How many candidates to ask an index for.

    For `limit` results, 1 or more, where so many of the candidates are `excluded`, since they can't be
    results. What `candidates`, those of the tuning for TUNED_FOR results, are above that makes up for
    an index whose own order is approximate.
    """
    return limit + max(0, candidates - TUNED_FOR) + excluded


def scaled(
    tuned: int, *, count: int, candidates: int, per_candidate: float, effort: float, most: float = _MOST
) -> int:
    """The effort of one search: nodes, entries of a queue, or lists to look at.

    Args:
        tuned: what was found to be enough for `candidates` candidates.
        count: candidates that are asked for now.
        candidates: as in `candidates_for`.
        per_candidate: how much more each candidate beyond these takes.
        effort: relative to what was tuned, > 0.
        most: where more makes no difference.

    Returns:
        At least 1 and at most `most`.
    """
    more = per_candidate * max(0, count - max(candidates, TUNED_FOR))
    return int(max(1, min(round(effort * (tuned + more)), most, _MOST)))


class Depths:
    """How much harder to search for more than TUNED_FOR results.

    Args:
        measured: ascending, as in the manifest; empty where nothing was measured.

    Attributes:
        most: for up to so many results it is known.
    """

    def __init__(self, measured: Sequence[Depth] = ()) -> None:
        self._results = [TUNED_FOR, *(depth.results for depth in measured)]
        self._efforts = [1.0, *(depth.effort for depth in measured)]
        self.most = self._results[-1]

    def effort(self, results: int) -> float:
        """Relative to the tuned effort, >= the least measured one; beyond `most` the last one."""
        if results <= TUNED_FOR:
            return 1.0
        place = bisect_left(self._results, results)
        if place == len(self._results):
            return self._efforts[-1]
        less, more = self._results[place - 1], self._results[place]
        share = math.log(results / less) / math.log(more / less)
        return float(self._efforts[place - 1] ** (1 - share) * self._efforts[place] ** share)
