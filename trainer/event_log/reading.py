"""Reads an event log, while another process may write to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lightfm_retriever.publication.writer import utc_now
from trainer.data.bounds import EARLIEST_TIME, MAX_SECONDS_AHEAD, MAX_WEIGHT
from trainer.data.interactions import Interactions, from_table
from trainer.data.times.time_forms import iso
from trainer.errors import InputError
from trainer.event_log import files as event_files
from trainer.event_log import listing, segments
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import brief
from trainer.event_log.files import LogFile, os_errors

_T = TypeVar("_T")
_SHOWN = 3


def read_interactions(directory: Path, *, now: float | None = None) -> Interactions:
    """Return the interactions of a log in the order of arrival, each event once.

    The interactions have timestamps, event types and event ids; their name is the directory. Another
    process may append and remove at the same time. The result has all events that it acknowledged
    before, and perhaps the first of the newer ones.

    Leaves out events with a weight or time outside today's bounds, with a warning.

    Args:
        directory: directory of the log.
        now: seconds since 1970; None for the machine's clock.

    Raises:
        InputError: the log doesn't exist or has no events.
        EventLogError: a file is damaged or missing, or can't be read.
    """
    found = find_interactions(directory, now=now)
    if found is None:
        if not directory.exists():
            raise InputError(directory, "there is no event log here")
        raise InputError(directory, "no interactions were appended yet, or all were removed")
    return found


def find_interactions(directory: Path, *, now: float | None = None) -> Interactions | None:
    """Do the same as `read_interactions`, but return None for a missing or empty log."""
    with os_errors(directory, "can't be read"):
        files = listing.list_kept(directory)
        # Read the newest first, because write-ahead files become segments.
        tables = [read_file(file, last=file == files[-1]) for file in reversed(files)]
    if not any(map(len, tables)):
        return None
    table = pa.concat_tables(reversed(tables))
    # The first event of an id has a larger code than all events before it.
    codes = pc.dictionary_encode(table["event_id"]).combine_chunks().indices.to_numpy()
    largest = np.maximum.accumulate(codes)
    first = np.ones(len(codes), dtype=np.bool_)
    first[1:] = codes[1:] > largest[:-1]
    now = utc_now().timestamp() if now is None else now
    table, warnings = _within(directory, table.filter(pa.array(first)), now=now)
    read = from_table(directory, table, name=directory.name, now=now, times_are_certain=True)
    return replace(read, warnings=[*read.warnings, *warnings])


def _within(directory: Path, table: pa.Table, *, now: float) -> tuple[pa.Table, list[str]]:
    """Leave out the events with a weight or time out of bounds, with a warning for each bound.

    A log may be older than a bound, or the clock of its writer may have been wrong. If such events were
    errors, every training run on this log would fail. Raises InputError if no event is left.
    """
    weights, times = (table[name].to_numpy() for name in ("weight", "timestamp"))
    latest = now + MAX_SECONDS_AHEAD
    beyond = {
        f"weigh more than {MAX_WEIGHT:g}": ~(np.abs(weights) <= MAX_WEIGHT),
        f"are more than a day ahead of this machine's clock, which says {iso(now)}": ~(times <= latest),
        "are from before 1971": times < EARLIEST_TIME,
    }
    left_out = np.logical_or.reduce([*beyond.values()])
    if not left_out.any():
        return table, []
    warnings = [_warning(directory, table, bad, why) for why, bad in beyond.items() if bad.any()]
    if left_out.all():
        raise InputError(directory, f"no event can be used: {warnings[0]}")
    return table.filter(pa.array(~left_out)), warnings


def _warning(directory: Path, table: pa.Table, bad: NDArray[np.bool_], why: str) -> str:
    rows = np.flatnonzero(bad)
    examples = [
        f"{brief(event['event_id'])} of user {brief(event['user_id'])} and item "
        f"{brief(event['item_id'])} (weight {event['weight']:g}, {_when(event['timestamp'])})"
        for event in table.take(rows[:_SHOWN]).to_pylist()
    ]
    more = ", and others" if len(rows) > _SHOWN else ""
    return (
        f"{directory}: {len(rows)} of {len(bad)} events {why}, and are left out: "
        f"{', '.join(examples)}{more}"
    )


def _when(seconds: float) -> str:
    try:
        return iso(seconds)
    except (OverflowError, ValueError):
        return str(seconds)


def stored_events(directory: Path) -> int:
    """Return the number of events in a log, 0 for a missing log. Raises EventLogError."""
    with os_errors(directory, "can't be read"):
        files = listing.list_kept(directory)
        return sum(
            _as_it_is_now(file, lambda file: segments.count_events(file.path))
            if file.kind == "segment"
            else len(read_file(file, last=file == files[-1]))
            for file in reversed(files)
        )


def fingerprint(directory: Path) -> str:
    """Return a text that changes when the events of a log change.

    Between two removals, a log only grows, so the number of events shows a change. Raises
    EventLogError.
    """
    with os_errors(directory, "can't be read"):
        mark = event_files.removal_mark(directory)
    return f"{stored_events(directory)} {mark}".strip()


def read_file(file: LogFile, *, last: bool) -> pa.Table:
    """Return the events of a listed file, or of the file that has replaced it since.

    `last` says that the file was the current write-ahead file. Raises EventLogError if the file is
    damaged or missing, and OSError.
    """
    return _as_it_is_now(file, partial(_read, last=last))


def _read(file: LogFile, *, last: bool) -> pa.Table:
    if file.kind == "lost":
        return segments.SCHEMA.empty_table()
    if file.kind == "segment":
        return segments.read_segment(file.path)
    try:
        return event_files.read_wal(file.path, complete=not last, at_least=file.valid_bytes)[0]
    except EventLogError:
        if not last:
            raise
        # The writer may have undone a failed write at this moment, and begun another one.
        return event_files.read_wal(file.path, complete=False, at_least=file.valid_bytes)[0]


def _as_it_is_now(file: LogFile, read: Callable[[LogFile], _T]) -> _T:
    """Read a file, or the file that has its number now: a segment, or one with fewer events."""
    while True:
        try:
            return read(file)
        except FileNotFoundError:
            file = event_files.list_files(file.path.parent)[file.number - 1]
