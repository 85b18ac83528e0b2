"""Defines events, the interactions that senders append, and checks their values."""

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
"""Values of an event, in the order of its fields."""


@dataclass(frozen=True, slots=True)
class Event:
    """One interaction of a user with an item.

    Attributes:
        event_id: id that the sender chose, 1 to 128 bytes of UTF-8. The log stores one event per id.
        user_id, item_id: external ids.
        event: type of the event, at most 64 bytes of UTF-8; "" for none.
        weight: number between -MAX_WEIGHT and MAX_WEIGHT.
        timestamp: seconds since 1970-01-01 UTC, from 1971 on and at most a day in the future; None or 0
            for the time of arrival.
    """

    event_id: str
    user_id: str
    item_id: str
    event: str = ""
    weight: float = 1.0
    timestamp: float | None = None


@dataclass(frozen=True)
class Appended:
    """Numbers of new and of already known events in a batch."""

    accepted: int
    duplicates: int


@dataclass(frozen=True)
class Stats:
    """Number of stored events, including late repetitions, and bytes of all files of a log."""

    events: int
    bytes: int


def checked_rows(batch: Sequence[Event], *, now: float) -> list[Row]:
    """Return the values of valid events, with defaults filled in.

    `now` is in seconds since 1970-01-01 UTC. Raises InvalidEventError for the first invalid event.
    """
    latest = now + MAX_SECONDS_AHEAD
    rows = []
    for position, event in enumerate(batch):
        timestamp = event.timestamp or now
        row = (event.event_id, event.user_id, event.item_id, event.event, event.weight, timestamp)
        # One fast check of all rules; `_problem` only finds out which rule failed.
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
    """Return the beginning of a text from outside, in ASCII."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def _fits(text: str, size: int) -> bool:
    # A character takes at most four bytes.
    if text.isascii():
        return len(text) <= size
    try:
        return len(text.encode()) <= size
    except UnicodeEncodeError:
        return False


def _problem(position: int, event: Event, timestamp: float, latest: float) -> InvalidEventError:
    if not event.event_id:
        return InvalidEventError(position, "event_id", "is empty: give each event its own id")
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
