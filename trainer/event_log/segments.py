"""Segments of an event log: its events as Parquet files, whose names have their CRC-32."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from lightfm_retriever.files.durable import write_durably
from lightfm_retriever.files.regular_files import held_open, read_regular
from trainer.event_log.errors import EventLogError

SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        # Seconds since 1970-01-01 UTC.
        pa.field("timestamp", pa.float64(), nullable=False),
    ]
)

SEGMENT = re.compile(r"segment-(\d{8})-([0-9a-f]{8})\.parquet")
SUCCESSOR = re.compile(r"_segment-(\d{8})-([0-9a-f]{8})\.new")
"""Names: of a segment, and of one that takes the place of another."""


class Held(NamedTuple):
    """How many events a file has, and the oldest and the newest timestamp, infinite for none."""

    events: int = 0
    oldest: float = float("inf")
    newest: float = float("-inf")

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """What a table of events has."""
        if not len(table):
            return cls()
        times = pc.min_max(table["timestamp"]).as_py()
        return cls(len(table), times["min"], times["max"])

    def __add__(self, other: object) -> Held:
        """Of both files together."""
        if not isinstance(other, Held):
            return NotImplemented
        return Held(
            self.events + other.events,
            min(self.oldest, other.oldest),
            max(self.newest, other.newest),
        )


def read_segment(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns, or all, of a segment.

    Raises:
        EventLogError: it is damaged.
        OSError: it can't be read.
    """
    content = read_regular(path)
    match = SEGMENT.fullmatch(path.name) or SUCCESSOR.fullmatch(path.name)
    if match is None or zlib.crc32(content) != int(match[2], 16):
        raise damaged(path, "its checksum isn't the one in its name")
    try:
        return pa.parquet.read_table(pa.BufferReader(content), columns=columns)
    except pa.ArrowException as error:
        raise damaged(path, str(error)) from error


def measure_segment(path: Path) -> Held:
    """What a segment has, from its footer alone.

    Raises:
        EventLogError: it is damaged.
        OSError: it can't be read.
    """
    try:
        with held_open(path) as name:
            facts = pa.parquet.read_metadata(name)
        column = facts.schema.names.index("timestamp")
        groups = [
            facts.row_group(group).column(column).statistics
            for group in range(facts.num_row_groups)
            if facts.row_group(group).num_rows
        ]
        oldest = min((found.min for found in groups), default=float("inf"))
        newest = max((found.max for found in groups), default=float("-inf"))
        return Held(facts.num_rows, oldest, newest)
    except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
        # Arrow's own OSErrors, which have no number, are about the content.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise damaged(path, str(error)) from error


def write_segment(
    directory: Path, number: int, table: pa.Table, name: str = "segment-{:08d}-{:08x}.parquet"
) -> Path:
    """Write a segment of a number, durably, under a name of the number and the CRC-32; OSError."""
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(table, buffer, compression="zstd")
    content = buffer.getvalue()
    path = directory / name.format(number, zlib.crc32(content))
    write_durably(directory / f"_segment-{number:08d}.tmp", content, path)
    return path


def damaged(path: Path, why: str) -> EventLogError:
    """The error of a file of the log whose content can't be used, which says what to do."""
    number = path.name.split("-")[1]
    return EventLogError(
        path,
        f"is damaged ({why}): restore it, or rename it to segment-{number}.lost to go on without its "
        "events",
    )
