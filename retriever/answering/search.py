"""The search itself: from a query to ranked rows, by the index or by scoring everything."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import (
    ROW,
    SCATTERED_ROW,
    TUNED_FOR,
    Depths,
    IndexCosts,
    candidates_for,
)
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.storage.ragged import are_among
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, row_norms, unit_rows
from retriever.answering.filters import Filter
from retriever.answering.pages import START, Position
from retriever.answering.questions import AS_TUNED, Checkpoint, Search
from retriever.index.protocol import SearchIndex

NOTHING: NDArray[np.int32] = np.empty(0, dtype=np.int32)

# How much wider each search is than the one before, when too few of the candidates may be returned.
_WIDER = 4
# How many more than needed would match if those that do were spread evenly: they aren't.
_MARGIN = 1.5


@dataclass(frozen=True)
class Scorer:
    """Scores any items, and all: no memory of its own, time grows with the catalogue.

    Attributes:
        vectors: (n, d).
        cosine: whether to rank by cosine instead of inner product.
        norms: (n,) of the vectors, for cosines; None to work them out at each search.
    """

    vectors: Float32Array
    _: KW_ONLY
    cosine: bool = False
    norms: Float32Array | None = None

    def scores(self, query: Float32Array, rows: NDArray[np.integer] | None = None) -> Float32Array:
        """Inner products or cosines of some rows, or of all, with a query (d,)."""
        vectors = self.vectors if rows is None else self.vectors[rows]
        if not self.cosine:
            products: Float32Array = vectors @ query
            return products
        if self.norms is None:
            norms = row_norms(vectors)
        else:
            norms = self.norms if rows is None else self.norms[rows]
        # The query's norm first, since float32 may not hold the product of two. The square may be more
        # than it holds, or less.
        exact = query.astype(np.float64)
        cosines = vectors @ (exact / math.sqrt(exact @ exact)).astype(np.float32)
        cosines /= norms
        # Rounding may leave the range that is promised.
        return cosines.clip(-1, 1, out=cosines)

    def scores_for(self, queries: Float32Array) -> Float32Array:
        """Inner products or cosines (q, n) of all items with queries (q, d)."""
        if not self.cosine:
            products: Float32Array = queries @ self.vectors.T
            return products
        norms = row_norms(self.vectors) if self.norms is None else self.norms
        cosines = unit_rows(queries) @ self.vectors.T
        cosines /= norms
        return cosines.clip(-1, 1, out=cosines)


@dataclass(frozen=True)
class Ranker:
    """One way to rank all items.

    Attributes:
        index: proposes candidates; None where all items are scored each time.
        exact: scores any items, and all.
        ties: (items,) what orders items of equal scores; None for their rows.
        costs: of the index.
        depths: how hard to ask the index for more than ten.
        query_microseconds: of one search for ten, as the trainer measured it.
    """

    index: SearchIndex | None
    exact: Scorer
    ties: NDArray[np.int32] | None
    costs: IndexCosts = field(default_factory=IndexCosts)
    depths: Depths = field(default_factory=Depths)
    query_microseconds: float = 0.0

    @property
    def candidates(self) -> int:
        """How many the index was tuned with for ten results."""
        return 0 if self.index is None else self.index.candidates

    def ties_of(self, rows: Rows) -> NDArray[np.integer]:
        """What orders some rows of equal scores."""
        return rows if self.ties is None else self.ties[rows]


class Wanted(msgspec.Struct, frozen=True):
    """What is to be found.

    Attributes:
        count: how many results.
        items: number of items of the publication.
        excluded: rows, ascending and distinct, that may not be returned.
        filter: what the others must match; None for anything.
        search: how hard to search.
        position: after which place of the ranking.
    """

    count: int
    items: int
    excluded: NDArray[np.int32] = NOTHING
    filter: Filter | None = None
    search: Search = AS_TUNED
    position: Position = START

    @property
    def most(self) -> int:
        """How many items may be returned, at most."""
        return self.items if self.filter is None else self.filter.most


class Found(msgspec.Struct, frozen=True):
    """Ranked results.

    Attributes:
        rows: (k,) int64, best first.
        scores: (k,) float32.
        width: candidates that the index was asked for; 0 when all were scored.
        candidates: items that were looked at.
        filtered: those of them that may not be returned.
        matching: how many items match the filter; None when it isn't known.
        total: how many items may be returned; None when it isn't known.
    """

    rows: Rows
    scores: Float32Array
    width: int
    candidates: int
    filtered: int
    matching: int | None = None
    total: int | None = None


def find(ranker: Ranker, query: Float32Array, wanted: Wanted, checkpoint: Checkpoint) -> Found:
    """The best for a query, fewer than are wanted only when no more may be returned.

    The index is asked, the harder the fewer of its candidates may be returned. Where that would take
    longer than to score all that may, as in a small catalogue, or where a filter leaves so few of the
    best that nobody knows whether the index finds them, they are scored. An effort that is given is
    made in any case.
    """
    if wanted.position.offset:
        return _find_page(ranker, query, wanted, checkpoint)
    count = wanted.count
    if wanted.search.exact or ranker.index is None:
        return _rank_all(ranker, query, count, wanted)
    enough = count
    if wanted.filter is not None:
        # With a filter too, what is left out makes up for an approximate order.
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
            # The index gave up early; the catalogue may still hold enough.
            break
        width = min(_WIDER * width, wanted.items)
    return _rank_all(ranker, query, count, wanted)


def _find_page(ranker: Ranker, query: Float32Array, wanted: Wanted, checkpoint: Checkpoint) -> Found:
    """What comes after a position; see retriever.answering.pages for the sequence."""
    start, width = wanted.position.offset, wanted.position.width
    end = start + wanted.count
    found = _propose(ranker, query, width, wanted) if width else _rank_all(ranker, query, end, wanted)
    rows, scores = found.rows, found.scores
    while len(rows) < end and found.width:
        checkpoint()
        if width < wanted.items and _is_worth_it(ranker, width := _WIDER * width, wanted):
            found = _propose(ranker, query, width, wanted)
        else:
            found = _rank_all(ranker, query, end, wanted)
        new = ~np.isin(found.rows, rows)
        rows = np.concatenate([rows, found.rows[new]])
        scores = np.concatenate([scores, found.scores[new]])
    rows, scores = rows[start:end], scores[start:end]
    # Where one search's results end and the next one's begin, the order may break.
    order = np.lexsort((ranker.ties_of(rows), -scores))
    # A ranking that an index began isn't the true one, though exact search ends it.
    return replace(found, rows=rows[order], scores=scores[order], width=width)


def _rank_all(ranker: Ranker, query: Float32Array, count: int, wanted: Wanted) -> Found:
    """The best `count` of all items that may be returned."""
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
    """The rows that aren't in `excluded`, which is in ascending order."""
    if not len(excluded):
        return rows
    kept: Rows = rows[~are_among(rows, excluded)]
    return kept


def _width(ranker: Ranker, wanted: Wanted) -> int:
    """How many candidates have enough among them, if those that match are spread about evenly."""
    count = wanted.count
    if wanted.filter is not None:
        count = math.ceil(_MARGIN * count * wanted.items / max(1, wanted.most))
    return min(candidates_for(count, ranker.candidates, len(wanted.excluded)), wanted.items)


def _is_worth_it(ranker: Ranker, width: int, wanted: Wanted) -> bool:
    """Whether the index finds enough, in less time than it takes to score all that may be returned."""
    if wanted.filter is not None and _depth(ranker, width, wanted) > ranker.depths.most:
        return False
    return ranker.costs.pay(width, items=wanted.items, most=wanted.most)


def _depth(ranker: Ranker, width: int, wanted: Wanted) -> int:
    """How many of the nearest are to be among so many candidates."""
    return width - _extra(ranker) - len(wanted.excluded)


def _extra(ranker: Ranker) -> int:
    """How many candidates more than results, since the index's own order is approximate."""
    return max(0, ranker.candidates - TUNED_FOR)


def _propose(ranker: Ranker, query: Float32Array, width: int, wanted: Wanted) -> Found:
    """All that an index proposes and that may be returned, ranked."""
    effort = ranker.depths.effort(_depth(ranker, width, wanted))
    if wanted.search.effort is not None:
        effort *= wanted.search.effort
    assert ranker.index is not None  # noqa: S101 - or no width was asked for
    proposed = ranker.index.search(query, width, effort)
    rows = without(proposed, wanted.excluded)
    if wanted.filter is not None:
        rows = rows[wanted.filter.matches(rows)]
    scores = ranker.exact.scores(query, rows)
    order = np.lexsort((ranker.ties_of(rows), -scores))
    left_out = len(proposed) - len(rows)
    return Found(rows[order], scores[order], width, len(proposed), left_out)
