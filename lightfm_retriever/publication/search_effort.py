"""The effort of a search: the tuned setting, scaled to a request and to its way of asking.

Trainer and retriever use the same rule for the effort, and the same rule to decide whether to use the
index at all. So the measured recall and speed hold for the retriever too.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lightfm_retriever.publication.index_facts import TUNED_FOR as TUNED_FOR
from lightfm_retriever.publication.index_facts import Depth, WayFacts

Way = Literal["usual", "with_seen", "session", "session_with_seen", "features", "items", "filtered"]
"""A way of asking an index.

An index is tuned for the usual way: known users without their seen items, or one item. The same effort
finds less for other queries. `with_seen` keeps the items that a known user has seen. `session` folds
the items of a session in and leaves them out, `session_with_seen` keeps them. `features` knows only
features of a user. `items` asks for items that are similar to several items. `filtered` is the usual
way under a filter; a search under a filter has the effort of its own way, so `filtered` is only
measured."""

MOST_RESULTS = 1000
"""The largest number of results whose effort the trainer measures."""

_MOST = 2**31 - 1

# Rough costs in microseconds, measured with a million items of 64 components. They only decide between
# two ways to the same answer. The costs of a row in order, a row out of order, and a row to choose
# among.
ROW, SCATTERED_ROW, CHOICE = 0.025, 0.07, 0.005


# How much wider each search under a filter is than the one before, if too few candidates match.
WIDER = 4
# Search for this many times the needed candidates, because matching items aren't spread evenly.
_MARGIN = 1.5


@dataclass(frozen=True)
class IndexCosts:
    """Rough costs of an index in microseconds: of a search, and of each candidate."""

    search: float = 80.0
    candidate: float = 1.5

    def pay(self, width: int, *, items: int, most: int) -> bool:
        """Return whether a search for `width` candidates is faster than scoring everything.

        At most `most` of `items` items may be returned.
        """
        everything = min(most * SCATTERED_ROW, items * ROW + most * CHOICE)
        return self.search + width * self.candidate < everything


def candidates_for(limit: int, candidates: int, excluded: int) -> int:
    """Return how many candidates to ask an index for.

    Args:
        limit: number of results, 1 or more.
        candidates: number of candidates for TUNED_FOR results that the index was tuned with. The
            surplus is kept, because the order of the index is approximate.
        excluded: number of items that may be candidates but not results.
    """
    return limit + max(0, candidates - TUNED_FOR) + excluded


def count_under_filter(limit: int, *, items: int, most: int) -> int:
    """Return how many of the nearest items contain `limit` matches, if these are spread evenly.

    At most `most` of `items` items match.
    """
    return math.ceil(_MARGIN * limit * items / max(1, most))


def scaled(
    tuned: int, *, count: int, candidates: int, per_candidate: float, effort: float, most: float = _MOST
) -> int:
    """Return the effort of one search: the number of nodes, queue entries or lists to examine.

    Args:
        tuned: the tuned effort for `candidates` candidates.
        count: number of candidates of this search.
        candidates: as in `candidates_for`.
        per_candidate: additional effort for each candidate beyond `candidates`.
        effort: effort relative to the tuned effort, > 0.
        most: the largest useful effort.

    Returns:
        The effort, at least 1 and at most `most`.
    """
    more = per_candidate * max(0, count - max(candidates, TUNED_FOR))
    return int(max(1, min(round(effort * (tuned + more)), most, _MOST)))


class Depths:
    """The relative effort for some number of results, in one way of asking.

    Args:
        measured: the depths of the manifest, ascending; empty if none were measured.
        tuned: the effort for TUNED_FOR results, relative to that of the usual way.

    Attributes:
        most: the largest number of results with a known effort.
    """

    def __init__(self, measured: Sequence[Depth] = (), tuned: float = 1.0) -> None:
        self._results = [TUNED_FOR, *(depth.results for depth in measured)]
        self._efforts = [tuned, *(depth.effort for depth in measured)]
        self.most = self._results[-1]

    def effort(self, results: int) -> float:
        """Return the effort for `results`, relative to the tuned one; beyond `most` the last."""
        if results <= TUNED_FOR:
            return self._efforts[0]
        place = bisect_left(self._results, results)
        if place == len(self._results):
            return self._efforts[-1]
        less, more = self._results[place - 1], self._results[place]
        share = math.log(results / less) / math.log(more / less)
        return float(self._efforts[place - 1] ** (1 - share) * self._efforts[place] ** share)


def depths_of(ways: Mapping[str, WayFacts]) -> dict[str, Depths | None]:
    """Return the depths of each way of a manifest; None for a way that scores all items."""
    return {
        name: None if way.effort is None else Depths(way.depths, way.effort)
        for name, way in ways.items()
    }
