"""Events: interactions as they are appended, each with an id that its sender gave it"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightfm_retriever.publication.errors import InvalidIdError
from lightfm_retriever.publication.storage.id_map import check_id
from trainer.data.bounds import EARLIEST_TIME, MAX_SECONDS_AHEAD, MAX_WEIGHT
from trainer.event_log.errors import InvalidEventError

MAX_EVENT_ID_BYTES = 128
MAX_TYPE_BYTES = 64
Row = tuple[str, str, str, str, float, float]
"""The values of an event in the order of its fields."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a user did.

    Attributes:
        event_id: given by the sender, 1 to 128 bytes of UTF-8; an event that comes again under its id
            is kept once.
        user_id, item_id: external ids.
        event: its type, at most 64 bytes of UTF-8; "" for none.
        weight: at most MAX_WEIGHT above or below 0.
        timestamp: seconds since 1970-01-01 UTC, from 1971 on and at most a day ahead; None or 0 for the
            time at which it arrives.
    """

    event_id: str
    user_id: str
    item_id: str
    event: str = ""
    weight: float = 1.0
    timestamp: float | None = None


@dataclass(frozen=True)
class Appended:
    """How many events of a batch were new, and how many were known already."""

    accepted: int
    duplicates: int


@dataclass(frozen=True)
class Stats:
    """What a log holds: stored events, with those that came again too late, and bytes of all files."""

    events: int
    bytes: int


def checked_rows(batch: Sequence[Event], *, now: float) -> list[Row]:
    """The events' values, complete and valid; `now` is seconds since 1970-01-01 UTC.

    Raises InvalidEventError, which names the first event that isn't valid, and its field.
    """
    latest = now + MAX_SECONDS_AHEAD
    rows = []
    for position, event in enumerate(batch):
        timestamp = event.timestamp or now
        row = (event.event_id, event.user_id, event.item_id, event.event, event.weight, timestamp)
        # The rule first, so that what is wrong is looked for only where something is.
        if not (
            EARLIEST_TIME <= timestamp <= latest
            and abs(event.weight) <= MAX_WEIGHT
            and _fits(event.event_id, MAX_EVENT_ID_BYTES)
            and event.event_id
            and _fits(event.event, MAX_TYPE_BYTES)
        ):
            raise _problem(position, event, timestamp, latest)
        try:
            field = "user_id"
            check_id(event.user_id)
            field = "item_id"
            check_id(event.item_id)
        except InvalidIdError as error:
            raise InvalidEventError(position, field, str(error)) from error
        rows.append(row)
    return rows


def brief(text: str) -> str:
    """Show the beginning of a text from outside, in ASCII."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def _fits(text: str, size: int) -> bool:
    # No character takes more than four bytes.
    if text.isascii():
        return len(text) <= size
    try:
        return len(text.encode()) <= size
    except UnicodeEncodeError:
        return False


def _problem(position: int, event: Event, timestamp: float, latest: float) -> InvalidEventError:
    if not event.event_id:
        return InvalidEventError(position, "event_id", "is empty: give each event an id of its own")
    for field, text, size in (
        ("event_id", event.event_id, MAX_EVENT_ID_BYTES),
        ("event", event.event, MAX_TYPE_BYTES),
    ):
        if not _fits(text, size):
            reason = f"{brief(text)} should be Unicode of at most {size} bytes of UTF-8"
            return InvalidEventError(position, field, reason)
    if not abs(event.weight) <= MAX_WEIGHT:
        reason = f"is {event.weight}, but should be a number between {-MAX_WEIGHT:g} and {MAX_WEIGHT:g}"
        return InvalidEventError(position, "weight", reason)
    hint = " (are these milliseconds?)" if math.isfinite(timestamp) and timestamp > latest * 100 else ""
    return InvalidEventError(
        position,
        "timestamp",
        f"is {timestamp}, but should be seconds since 1970, of 1971 or later and at most a day ahead "
        f"of the service's clock{hint}",
    )
