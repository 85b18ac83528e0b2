"""Warm up a version: page faults, lazy imports and memory allocation would slow down first calls."""

from __future__ import annotations

from collections.abc import Callable

from lightfm_retriever.publication.storage.id_map import ItemRow, UserRow
from retriever.answer_words import ShortReason
from retriever.answering import queries
from retriever.answering.questions import Options, Search
from retriever.answering.snapshot import Snapshot
from retriever.errors import SnapshotError

_QUERIES = 20
# With an effort, the indexes are used even if most requests are answered without them.
_OPTIONS = Options(search=Search(effort=1.0))


def warm_up(snapshot: Snapshot, *, make_way: Callable[[], None] = lambda: None) -> None:
    """Search similar items and recommendations for rows spread over the version.

    `make_way` is called between the queries, to let waiting calls go first.

    Raises:
        SnapshotError: an index finds no similar items although there are other items.
    """
    publication = snapshot.publication
    for row in _spread(len(publication.items)):
        item_id = publication.items.external_id(ItemRow(row))
        answer = queries.answer(snapshot, queries.plan_similar_items(snapshot, item_id, _OPTIONS))
        # In an item-item model an item may have no neighbour.
        expected = len(publication.items) > 1 and answer.short is not ShortReason.NO_EVIDENCE
        if not len(answer.rows) and expected:
            raise SnapshotError(
                f"version {snapshot.version}: no similar items found for item {item_id!r} (row {row})"
            )
        make_way()
    for row in _spread(len(publication.users)):
        user_id = publication.users.external_id(UserRow(row))
        queries.answer(snapshot, queries.plan_recommend(snapshot, user_id, _OPTIONS))
        make_way()


def _spread(count: int) -> range:
    return range(0, count, max(1, count // _QUERIES))
