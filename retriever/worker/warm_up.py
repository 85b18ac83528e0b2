"""Queries that a first request would otherwise pay for: page faults, lazy imports, the allocator."""

from __future__ import annotations

from collections.abc import Callable

from lightfm_retriever.publication.storage.id_map import ItemRow, UserRow
from retriever.answering import queries
from retriever.answering.questions import Options, Search
from retriever.answering.snapshot import Snapshot
from retriever.errors import SnapshotError

_QUERIES = 20
# The indexes are asked even where most requests are answered without them.
_OPTIONS = Options(search=Search(effort=1.0))


def warm_up(snapshot: Snapshot, *, make_way: Callable[[], None] = lambda: None) -> None:
    """Ask both questions for rows spread over the publication, as requests do.

    `make_way` is called between the queries, to let the calls of those who wait go first.

    Raises:
        SnapshotError: a known id has no answer although there are others.
    """
    publication = snapshot.publication
    for row in _spread(len(publication.items)):
        item_id = publication.items.external_id(ItemRow(row))
        answer = queries.answer(snapshot, queries.plan_similar_items(snapshot, item_id, _OPTIONS))
        if not len(answer.rows) and len(publication.items) > 1:
            raise SnapshotError(f"version {snapshot.version}: item row {row} has no similar items")
        make_way()
    for row in _spread(len(publication.users)):
        user_id = publication.users.external_id(UserRow(row))
        queries.answer(snapshot, queries.plan_recommend(snapshot, user_id, _OPTIONS))
        make_way()


def _spread(count: int) -> range:
    return range(0, count, max(1, count // _QUERIES))
