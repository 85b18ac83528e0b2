"""Reading the log of appended interactions, while another process writes to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from publication.writer import utc_now
from trainer import event_bounds, event_files
from trainer.errors import InputError
from trainer.event_errors import EventLogError
from trainer.event_files import LogFile, os_errors
from trainer.interactions import Interactions, from_table


def read_interactions(directory: Path, *, now: float | None = None) -> Interactions:
    """The interactions of a log in the order of their arrival, each event once; n rows.

    Another process may append meanwhile: what it had acknowledged before is there, and of what it
    writes now there may be a part, in its order.

    Args:
        directory: of the log.
        now: what the clock says, seconds since 1970; None for the machine's.

    Returns:
        Interactions with timestamps and events; named as the directory. Events that couldn't be
        appended today, since their weight or time is out of bounds, are left out with a warning.

    Raises:
        InputError: there is no log, or no event in it.
        EventLogError: a file is damaged, missing or can't be read.
    """
    with os_errors(directory, "can't be read"):
        files = _files(directory)
        # The newest first, since write-ahead files go away.
        tables = [_read(directory, file, last=file == files[-1]) for file in reversed(files)]
    if not any(map(len, tables)):
        raise InputError(directory, "no interactions were appended yet")
    table = pa.concat_tables(reversed(tables))
    # Where an id appears first, its code is larger than all before it.
    codes = pc.dictionary_encode(table["event_id"]).combine_chunks().indices.to_numpy()
    largest = np.maximum.accumulate(codes)
    first = np.ones(len(codes), dtype=np.bool_)
    first[1:] = codes[1:] > largest[:-1]
    now = utc_now().timestamp() if now is None else now
    table, warnings = event_bounds.within(directory, table.filter(pa.array(first)), now=now)
    read = from_table(
        directory, table.drop_columns("event_id"), name=directory.name, now=now, times_are_certain=True
    )
    return replace(read, warnings=[*read.warnings, *warnings])


def stored_events(directory: Path) -> int:
    """How many events a log holds, 0 when there is none; a log only grows, so this tells a change.

    Raises:
        EventLogError: a file is damaged, missing or can't be read.
    """
    with os_errors(directory, "can't be read"):
        files = _files(directory) if directory.exists() else []
        return sum(
            event_files.measure_segment(file.path)[0]
            if file.kind == "segment"
            else len(_read(directory, file, last=file == files[-1]))
            for file in reversed(files)
        )


def _files(directory: Path) -> list[LogFile]:
    try:
        return event_files.list_files(directory)
    except FileNotFoundError as error:
        raise InputError(directory, "there is no event log here") from error


def _read(directory: Path, file: LogFile, *, last: bool) -> pa.Table:
    if file.kind == "lost":
        return event_files.SCHEMA.empty_table()
    if file.kind == "segment":
        return event_files.read_segment(file.path)
    try:
        return event_files.read_wal(file.path, complete=not last)[0]
    except FileNotFoundError:
        # It has become a segment.
        [now] = [found for found in _files(directory) if found.number == file.number]
        return event_files.read_segment(now.path)
    except EventLogError:
        if not last:
            raise
        # Its writer may just have taken back a write that failed, and begun another one.
        return event_files.read_wal(file.path, complete=False)[0]
