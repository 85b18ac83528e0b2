"""Search: the wanted and the found results, and how vectors find them: by an index or all scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import (
    MOST_RESULTS,
    ROW,
    SCATTERED_ROW,
    TUNED_FOR,
    WIDER,
    Depths,
    IndexCosts,
    Way,
    candidates_for,
    count_under_filter,
)
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.storage.ragged import are_among
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best
from retriever.answering.filters import Filter
from retriever.answering.pages import START, Position
from retriever.answering.questions import AS_TUNED, Checkpoint, Search
from retriever.index.protocol import SearchIndex

if TYPE_CHECKING:
    from retriever.answering.vector_model import Scorer

NOTHING: NDArray[np.int32] = np.empty(0, dtype=np.int32)


class Wanted(msgspec.Struct, frozen=True):
    """The results to find.

    Attributes:
        count: number of results.
        items: number of items of the version.
        excluded: rows that may not be returned, ascending and distinct.
        filter: the filter that results must match; None for none.
        search: how hard to search.
        position: the position in the ranking at which the results begin.
        way: the way of asking, which decides the effort.
    """

    count: int
    items: int
    excluded: NDArray[np.int32] = NOTHING
    filter: Filter | None = None
    search: Search = AS_TUNED
    position: Position = START
    way: Way = "usual"

    @property
    def most(self) -> int:
        """An upper bound of the number of items that may be returned."""
        return self.items if self.filter is None else self.filter.most


class Found(msgspec.Struct, frozen=True):
    """Ranked results.

    Attributes:
        rows: (k,) int64, best first.
        scores: (k,) float32.
        width: number of candidates that the index was asked for; 0 when all items were scored.
        candidates: number of items that were examined.
        filtered: number of examined items that may not be returned.
        matching: number of items that match the filter; None when unknown.
        total: number of items that may be returned; None when unknown.
        without_evidence: number of items that aren't returned only because no seen item speaks for
            them; always 0 for vectors, which score every item.
    """

    rows: Rows
    scores: Float32Array
    width: int
    candidates: int
    filtered: int
    matching: int | None = None
    total: int | None = None
    without_evidence: int = 0


@dataclass(frozen=True)
class VectorRanker:
    """Ranks items by inner products or cosines: by an index, or by scoring all items.

    Attributes:
        index: proposes candidates; None if all items are scored each time.
        exact: scores items exactly.
        ties: (items,) the order of items with equal scores; None for the order of rows.
        costs: costs of the index.
        depths: the effort that the index needs for any number of results, asked in the usual way.
        ways: the same for other ways of asking; None where all items are scored. A way that is missing
            gets the effort of the usual one.
        query_microseconds: duration of a search for ten results, as the trainer measured it.
    """

    index: SearchIndex | None
    exact: Scorer
    ties: NDArray[np.int32] | None
    costs: IndexCosts = field(default_factory=IndexCosts)
    depths: Depths = field(default_factory=Depths)
    ways: Mapping[str, Depths | None] = field(default_factory=dict)
    query_microseconds: float = 0.0

    @property
    def candidates(self) -> int:
        """The number of candidates for ten results that the index was tuned with."""
        return 0 if self.index is None else self.index.candidates

    def depths_of(self, wanted: Wanted) -> Depths | None:
        """Return the depths for a way of asking; None if all items are scored.

        If the request sets an effort, it is relative to the tuned one of the usual way at least.
        """
        depths = self.ways.get(wanted.way, self.depths)
        return self.depths if depths is None and wanted.search.effort is not None else depths

    def ties_of(self, rows: Rows) -> NDArray[np.integer]:
        """Return the keys that order some rows with equal scores."""
        return rows if self.ties is None else self.ties[rows]

    def find(self, query: Float32Array, wanted: Wanted, checkpoint: Checkpoint) -> Found:
        """See retriever.answering.model.Ranker."""
        return find(self, query, wanted, checkpoint)

    def scores(self, query: Float32Array, rows: Rows) -> Float32Array:
        """See retriever.answering.model.Ranker."""
        return self.exact.scores(query, rows)

    def microseconds(self, items: int) -> float:  # noqa: ARG002
        """See retriever.answering.model.Ranker. A query is one vector, of one item or of many."""
        return self.query_microseconds


def find(ranker: VectorRanker, query: Float32Array, wanted: Wanted, checkpoint: Checkpoint) -> Found:
    """Find the best items for a query. Returns fewer only if no more may be returned.

    The index is used with a growing effort until enough of its candidates may be returned. Exact search
    is used instead where it is faster, as for few items. It is also used where a filter leaves so few
    of the best items that the index may miss them, and where the index reaches the target no faster.
    If the request sets an effort, the index is always tried.
    """
    if wanted.position.offset:
        return _find_page(ranker, query, wanted, checkpoint)
    count = wanted.count
    if wanted.search.exact or ranker.index is None or ranker.depths_of(wanted) is None:
        return _rank_all(ranker, query, count, wanted)
    enough = count
    if wanted.filter is not None:
        # Keep a margin with a filter too, because the order of the index is approximate.
        enough += math.ceil(_extra(ranker) * wanted.most / wanted.items)
    width = _width(ranker, wanted)
    asked_for = wanted.search.effort is not None
    while asked_for or _is_worth_it(ranker, width, wanted):
        asked_for = False
        found = _propose(ranker, query, width, wanted)
        if len(found.rows) >= enough:
            return replace(found, rows=found.rows[:count], scores=found.scores[:count])
        checkpoint()
        if wanted.filter is None or width >= wanted.items:
            # The index returned too few candidates. Exact search may still find enough.
            break
        width = min(WIDER * width, wanted.items)
    return _rank_all(ranker, query, count, wanted)


def _find_page(
    ranker: VectorRanker, query: Float32Array, wanted: Wanted, checkpoint: Checkpoint
) -> Found:
    """Find the results after a position; retriever.answering.pages describes the sequence."""
    start, width = wanted.position.offset, wanted.position.width
    end = start + wanted.count
    found = _propose(ranker, query, width, wanted) if width else _rank_all(ranker, query, end, wanted)
    rows, scores = found.rows, found.scores
    while len(rows) < end and found.width:
        checkpoint()
        if width < wanted.items and _is_worth_it(ranker, width := WIDER * width, wanted):
            found = _propose(ranker, query, width, wanted)
        else:
            found = _rank_all(ranker, query, end, wanted)
        new = ~np.isin(found.rows, rows)
        rows = np.concatenate([rows, found.rows[new]])
        scores = np.concatenate([scores, found.scores[new]])
    rows, scores = rows[start:end], scores[start:end]
    # The scores may not be in order where the results of one search end and those of the next begin.
    order = np.lexsort((ranker.ties_of(rows), -scores))
    # A ranking that began with the index isn't exact, even if exact search completes it.
    return replace(found, rows=rows[order], scores=scores[order], width=width)


def _rank_all(ranker: VectorRanker, query: Float32Array, count: int, wanted: Wanted) -> Found:
    """Find the best `count` items by scoring all that may be returned."""
    if wanted.filter is None:
        scores = ranker.exact.scores(query)
        scores[wanted.excluded] = -np.inf
        left = wanted.items - len(wanted.excluded)
        rows = best(scores, min(count, left), ranker.ties)
        return Found(rows, scores[rows], 0, wanted.items, len(wanted.excluded), wanted.items, left)
    matching = wanted.filter.rows()
    rows = without(matching, wanted.excluded)
    if len(rows) * SCATTERED_ROW < wanted.items * ROW:
        scores = ranker.exact.scores(query, rows)
    else:
        scores = ranker.exact.scores(query)[rows]
    order = best(scores, count, ranker.ties_of(rows))
    left_out = len(matching) - len(rows)
    return Found(rows[order], scores[order], 0, len(matching), left_out, len(matching), len(rows))


def without(rows: Rows, excluded: NDArray[np.int32]) -> Rows:
    """Return the rows that aren't in `excluded`, which must be ascending."""
    if not len(excluded):
        return rows
    kept: Rows = rows[~are_among(rows, excluded)]
    return kept


def _width(ranker: VectorRanker, wanted: Wanted) -> int:
    """Estimate the candidates that contain enough results, if matching items are spread evenly."""
    count = wanted.count
    if wanted.filter is not None:
        count = count_under_filter(count, items=wanted.items, most=wanted.most)
    return min(candidates_for(count, ranker.candidates, len(wanted.excluded)), wanted.items)


def _is_worth_it(ranker: VectorRanker, width: int, wanted: Wanted) -> bool:
    """Return whether the index finds enough results faster than exact search."""
    depths = ranker.depths_of(wanted)
    if depths is None:
        return False
    depth = _depth(ranker, width, wanted)
    # Nothing deeper than MOST_RESULTS was measured: there, the last effort counts without a filter. An
    # older version may lack depths that its index would reach.
    if wanted.filter is None:
        depth = min(depth, MOST_RESULTS) if ranker.ways else 0
    return depth <= depths.most and ranker.costs.pay(width, items=wanted.items, most=wanted.most)


def _depth(ranker: VectorRanker, width: int, wanted: Wanted) -> int:
    """Return how many of the nearest items must be among `width` candidates."""
    return width - _extra(ranker) - len(wanted.excluded)


def _extra(ranker: VectorRanker) -> int:
    """Return the surplus of candidates over results: the order of the index is approximate."""
    return max(0, ranker.candidates - TUNED_FOR)


def _propose(ranker: VectorRanker, query: Float32Array, width: int, wanted: Wanted) -> Found:
    """Rank the candidates of the index that may be returned."""
    effort = (ranker.depths_of(wanted) or ranker.depths).effort(_depth(ranker, width, wanted))
    if wanted.search.effort is not None:
        effort *= wanted.search.effort
    assert ranker.index is not None  # noqa: S101 - a width above 0 means that there is an index
    proposed = ranker.index.search(query, width, effort)
    rows = without(proposed, wanted.excluded)
    if wanted.filter is not None:
        rows = rows[wanted.filter.matches(rows)]
    scores = ranker.exact.scores(query, rows)
    order = np.lexsort((ranker.ties_of(rows), -scores))
    left_out = len(proposed) - len(rows)
    return Found(rows[order], scores[order], width, len(proposed), left_out)
