"""Reading the log of appended interactions, while another process writes to it."""

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
    """The interactions of a log in the order of their arrival, each event once; named as its directory.

    Another process may append and remove meanwhile: what it had acknowledged before is there, and of
    what it writes now there may be a part, in its order. They have timestamps, events and event ids.
    Events that couldn't be appended today, since their weight or time is out of bounds, are left out
    with a warning. `now` is what the clock says, seconds since 1970; None for the machine's.

    Raises:
        InputError: there is no log, or no event in it.
        EventLogError: a file is damaged, missing or can't be read.
    """
    found = find_interactions(directory, now=now)
    if found is None:
        if not directory.exists():
            raise InputError(directory, "there is no event log here")
        raise InputError(directory, "no interactions were appended yet, or all were removed")
    return found


def find_interactions(directory: Path, *, now: float | None = None) -> Interactions | None:
    """The same, but None when there is no log, or no event in it; raises EventLogError."""
    with os_errors(directory, "can't be read"):
        files = listing.list_kept(directory)
        # The newest first, since write-ahead files go away.
        tables = [read_file(file, last=file == files[-1]) for file in reversed(files)]
    if not any(map(len, tables)):
        return None
    table = pa.concat_tables(reversed(tables))
    # Where an id appears first, its code is larger than all before it.
    codes = pc.dictionary_encode(table["event_id"]).combine_chunks().indices.to_numpy()
    largest = np.maximum.accumulate(codes)
    first = np.ones(len(codes), dtype=np.bool_)
    first[1:] = codes[1:] > largest[:-1]
    now = utc_now().timestamp() if now is None else now
    table, warnings = _within(directory, table.filter(pa.array(first)), now=now)
    read = from_table(directory, table, name=directory.name, now=now, times_are_certain=True)
    return replace(read, warnings=[*read.warnings, *warnings])


def _within(directory: Path, table: pa.Table, *, now: float) -> tuple[pa.Table, list[str]]:
    """Leave out the events whose weight or time is out of bounds, with a warning of each bound.

    A log may be older than a bound, and its writer's clock may have been wrong. What is in a log stays
    there, so a training that refused such events would fail for ever. InputError when none is left.
    """
    weights, times = (table[name].to_numpy() for name in ("weight", "timestamp"))
    latest = now + MAX_SECONDS_AHEAD
    beyond = {
        f"weigh more than {MAX_WEIGHT:g}": ~(np.abs(weights) <= MAX_WEIGHT),
        f"are more than a day ahead of this machine's clock, which says {iso(now)}": ~(times <= latest),
        "are of before 1971": times < EARLIEST_TIME,
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
    """How many events a log holds, 0 when there is none; EventLogError as `read_interactions`."""
    with os_errors(directory, "can't be read"):
        files = listing.list_kept(directory)
        return sum(
            _as_it_is_now(file, lambda file: segments.count_events(file.path))
            if file.kind == "segment"
            else len(read_file(file, last=file == files[-1]))
            for file in reversed(files)
        )


def fingerprint(directory: Path) -> str:
    """A text that is another one when the events of a log are.

    Between two removals a log only grows, so how many events it has tells a change. Raises as
    `stored_events`.
    """
    with os_errors(directory, "can't be read"):
        mark = event_files.removal_mark(directory)
    return f"{stored_events(directory)} {mark}".strip()


def read_file(file: LogFile, *, last: bool) -> pa.Table:
    """The events of one file of a log that was listed as `file`, or of what has taken its place since.

    `last`: whether it was the last one, which is written to. Raises EventLogError when it is damaged or
    missing, and OSError.
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
        # Its writer may just have taken back a write that failed, and begun another one.
        return event_files.read_wal(file.path, complete=False, at_least=file.valid_bytes)[0]


def _as_it_is_now(file: LogFile, read: Callable[[LogFile], _T]) -> _T:
    """What is read of a file, or of what has its number since: a segment, or less events."""
    while True:
        try:
            return read(file)
        except FileNotFoundError:
            file = event_files.list_files(file.path.parent)[file.number - 1]
