"""A model of neighbours: items are ranked by the weights of their links to the items of a subject.

A score is a sum over the subject's items, so each item's part of it is known exactly. Only items with
a score above 0 are returned: no item of the subject speaks for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.storage.ragged import are_among
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best
from retriever.answer_words import Source
from retriever.answering.model import ZERO, KnownItems, ScoreParts, Subject, largest
from retriever.answering.questions import Checkpoint
from retriever.answering.search import Found, Wanted
from retriever.errors import NotPublishedError

# Rough microseconds: of a search, of each neighbour of the subject's items, and of each item.
_SEARCH, _NEIGHBOUR, _ITEM = 40.0, 0.008, 0.002

_ONE = np.float32(1)


class Links(msgspec.Struct, frozen=True):
    """A query: rows of items (s,) int64, ascending, and their weights (s,) float32; None for all 1.

    Scores are divided by `total`.
    """

    rows: Rows
    weights: Float32Array | None = None
    total: np.float32 = _ONE


class NeighbourRanker:
    """Ranks items by the sums of their weights as neighbours of some items.

    Args:
        neighbours: of the items.
        ties: (items,) the order of items with equal scores; None for the order of rows.
    """

    def __init__(self, neighbours: Neighbours, ties: NDArray[np.int32] | None) -> None:
        self._neighbours = neighbours
        self._ties = ties
        self._each = len(neighbours.weights) / len(neighbours)

    def find(self, query: Links, wanted: Wanted, checkpoint: Checkpoint) -> Found:  # noqa: ARG002
        """See Ranker. The answer is exact, also without `wanted.search.exact`."""
        rows, scores, examined = self._with_evidence(query, wanted)
        if wanted.filter is not None:
            matching = wanted.filter.matches(rows)
            rows, scores = rows[matching], scores[matching]
        start = wanted.position.offset
        end = start + wanted.count
        ties = None if self._ties is None else self._ties[rows]
        order = best(scores, end, ties)[start:]
        found = Found(
            *(rows[order], scores[order], 0),
            *(examined, examined - len(rows)),
            matching=wanted.items if wanted.filter is None else None,
            total=len(rows),
        )
        return found if len(rows) >= end else _short(found, wanted)

    def scores(self, query: Links, rows: Rows) -> Float32Array:
        """See Ranker."""
        scores: Float32Array = self._neighbours.scores(query.rows, query.weights)[rows] / query.total
        return scores

    def microseconds(self, items: int) -> float:
        """See Ranker."""
        return _SEARCH + _NEIGHBOUR * self._each * items + _ITEM * len(self._neighbours)

    def _with_evidence(self, query: Links, wanted: Wanted) -> tuple[Rows, Float32Array, int]:
        """Return the rows with a score above 0 that aren't excluded, ascending, and their scores.

        Also returns the number of all rows with a score above 0.
        """
        touched, scores = self._neighbours.sums(query.rows, query.weights)
        if query.total != 1:
            scores /= query.total
        if touched is None:
            left_out = int((scores[wanted.excluded] > 0).sum())
            scores[wanted.excluded] = 0
            rows: Rows = np.flatnonzero(scores > 0)
            return rows, scores[rows], len(rows) + left_out
        above = scores > 0
        examined = int(above.sum())
        above &= ~are_among(touched, wanted.excluded)
        return touched[above].astype(np.int64), scores[above], examined


def _short(found: Found, wanted: Wanted) -> Found:
    """Add why there are too few results: the numbers of items that match, and without evidence."""
    matching, excluded = wanted.items, len(wanted.excluded)
    if wanted.filter is not None:
        rows = wanted.filter.rows()
        matching, excluded = len(rows), int(are_among(rows, wanted.excluded).sum())
    total = found.total or 0
    without_evidence = matching - excluded - total
    return msgspec.structs.replace(found, matching=matching, without_evidence=without_evidence)


class NeighbourModel:
    """See retriever.answering.model.Model.

    Args:
        publication: of an item-item model.
    """

    has_features = False

    def __init__(self, publication: Publication) -> None:
        if publication.neighbours is None:
            raise ValueError("the version has no neighbours")
        self._publication = publication
        self._neighbours = publication.neighbours
        self._profiles = publication.seen if publication.profiles is None else publication.profiles
        self.recommend = self.similar = NeighbourRanker(publication.neighbours, publication.id_ranks)

    def user(self, row: int) -> Subject:
        """See Model: the items of the user's profile, all with weight 1."""
        query = Links(self._profiles[row].astype(np.int64))
        return self._subject(Source.PERSONALIZED, query, self._publication.seen[row], ())

    def session(self, items: KnownItems) -> Subject:
        """See Model: as a user with these items, weighted relative to the largest weight."""
        return self._subject(Source.FOLDED_IN, _links(items), items.own, items.unknown)

    def features(self, rows: Mapping[str, int], unknown: Sequence[str]) -> Subject:
        """See Model."""
        raise NotImplementedError

    def item(self, item_id: str, row: int) -> Subject:  # noqa: ARG002
        """See Model: the weights of the item's neighbours."""
        rows = np.array([row], dtype=np.int64)
        return self._subject(Source.SIMILAR, Links(rows), rows.astype(np.int32), ())

    def alike(self, items: KnownItems) -> Subject:
        """See Model: the weighted mean of the weights of the items' neighbours."""
        query = _links(items)
        assert query.weights is not None  # noqa: S101 - made from the items' weights
        query = Links(query.rows, query.weights, np.float32(query.weights.sum(dtype=np.float64)))
        return self._subject(Source.SIMILAR, query, items.own, items.unknown)

    def explain(self, parts: Links, rows: Rows) -> Sequence[ScoreParts]:
        """See Model. All contributions of an item together are its score."""
        of_item = self._neighbours.of_item
        contributions = np.array([of_item(item, rows) for item in parts.rows.tolist()])
        if parts.weights is not None:
            contributions *= parts.weights[:, None] / parts.total
        names = [self._publication.items.external_id(row) for row in parts.rows.tolist()]
        return [ScoreParts(largest(names, own)) for own in contributions.T] if len(names) else []

    def embeddings(self, rows: Rows) -> Float32Array:  # noqa: ARG002
        """See Model."""
        facts = self._publication.manifest
        hint = f"its model, {facts.family}, is an item-item model: leave diversity out"
        what = "vectors, which diversity needs"
        raise NotPublishedError(what, facts.version, hint, model=facts.family)

    def _subject(
        self, source: Source, query: Links, own: NDArray[np.int32], unknown: Sequence[str]
    ) -> Subject:
        empty = not self._neighbours.count(query.rows)
        return Subject(source, query, ZERO, own, unknown, lambda: query, empty)


def _links(items: KnownItems) -> Links:
    """Return the items in the order of rows, in which a user's profile is summed, too."""
    order = np.argsort(items.rows)
    return Links(items.rows[order], items.weights[order])
