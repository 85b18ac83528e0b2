"""Which requests take so little time that handing them to another thread would take longer.

They are answered on the thread that takes all calls of a worker, which nothing may hold for long.
"""

from __future__ import annotations

from typing import Any

from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.answering.snapshot import Snapshot
from retriever.worker import messages

# Of one search, as the trainer measured it.
_MICROSECONDS = 500.0
_RESULTS = 100
_SESSION_ITEMS = 50
_SEEN = 500


def is_quick(snapshot: Snapshot, request: Any) -> bool:
    """Whether a request is answered within a millisecond, roughly; may be wrong, but must be cheap."""
    if isinstance(request, pb.RecommendRequest):
        return (
            snapshot.recommend.query_microseconds <= _MICROSECONDS
            and request.limit <= _RESULTS
            and len(request.session.item_ids) <= _SESSION_ITEMS
            and messages.is_plain(request)
            and _has_seen_little(snapshot, request.user_id)
        )
    if isinstance(request, pb.SimilarItemsRequest):
        return (
            snapshot.similar.query_microseconds <= _MICROSECONDS
            and request.limit <= _RESULTS
            and len(request.items.item_ids) <= _SESSION_ITEMS
            and messages.is_plain(request)
        )
    return False


def _has_seen_little(snapshot: Snapshot, user_id: str) -> bool:
    row = snapshot.publication.users.row(user_id) if user_id else None
    return row is None or len(snapshot.publication.seen[row]) <= _SEEN
