"""Events, and which of them to remove <-> protobuf messages."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.event_log.log import Event, Removed, Selection

# What a message's timestamp can be: the years 1 to 9999.
_FIRST, _LAST = -62135596800.0, 253402300799.0


def event_of(message: pb.InteractionEvent) -> Event:
    """An event as it was sent; what isn't set has the default."""
    return Event(
        event_id=message.event_id,
        user_id=message.user_id,
        item_id=message.item_id,
        event=message.event,
        weight=message.weight if message.HasField("weight") else 1.0,
        timestamp=_seconds(message.happened_at) if message.HasField("happened_at") else None,
    )


def selection_of(message: pb.RemoveInteractionsRequest) -> Selection:
    """Which events a request is about; raises InvalidSelectionError."""
    return Selection(
        event_ids=tuple(message.event_ids),
        user_ids=tuple(message.user_ids),
        item_ids=tuple(message.item_ids),
        happened_from=_seconds(message.happened_from) if message.HasField("happened_from") else None,
        happened_before=(
            _seconds(message.happened_before) if message.HasField("happened_before") else None
        ),
        min_weight=message.min_weight if message.HasField("min_weight") else None,
        max_weight=message.max_weight if message.HasField("max_weight") else None,
    )


def removal_request(selection: Selection, *, dry_run: bool) -> pb.RemoveInteractionsRequest:
    """Inverse of `selection_of`."""
    return pb.RemoveInteractionsRequest(
        event_ids=selection.event_ids,
        user_ids=selection.user_ids,
        item_ids=selection.item_ids,
        happened_from=_timestamp(selection.happened_from),
        happened_before=_timestamp(selection.happened_before),
        min_weight=selection.min_weight,
        max_weight=selection.max_weight,
        dry_run=dry_run,
    )


def removal_response(removed: Removed) -> pb.RemoveInteractionsResponse:
    """What was removed, as it is sent."""
    return pb.RemoveInteractionsResponse(
        removed=removed.events,
        users=removed.users,
        items=removed.items,
        oldest=_timestamp(removed.oldest),
        newest=_timestamp(removed.newest),
        min_weight=removed.min_weight,
        max_weight=removed.max_weight,
        examples=[
            pb.InteractionEvent(
                event_id=event.event_id,
                user_id=event.user_id,
                item_id=event.item_id,
                event=event.event,
                weight=event.weight,
                happened_at=_timestamp(event.timestamp),
            )
            for event in removed.examples
        ],
        warnings=removed.warnings,
    )


def removed_of(message: pb.RemoveInteractionsResponse) -> Removed:
    """Inverse of `removal_response`."""
    return Removed(
        events=message.removed,
        users=message.users,
        items=message.items,
        oldest=_seconds(message.oldest) if message.HasField("oldest") else None,
        newest=_seconds(message.newest) if message.HasField("newest") else None,
        min_weight=message.min_weight if message.HasField("min_weight") else None,
        max_weight=message.max_weight if message.HasField("max_weight") else None,
        examples=[event_of(event) for event in message.examples],
        warnings=list(message.warnings),
    )


def _seconds(timestamp: Timestamp) -> float:
    # Not by its own methods, which refuse some numbers: the event log says which, and where.
    return float(timestamp.seconds) + timestamp.nanos / 1e9


def _timestamp(seconds: float | None) -> Timestamp | None:
    if seconds is None:
        return None
    # An old log may hold times that no event could have today, and no message either.
    seconds = min(max(seconds, _FIRST), _LAST) if seconds == seconds else _FIRST
    # To the microsecond, which is about what a float has.
    whole, rest = divmod(round(seconds * 1e6), 1_000_000)
    return Timestamp(seconds=whole, nanos=rest * 1000)
