"""Reads and writes the segments of an event log: Parquet files with their CRC-32 in their names."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
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
"""Names of a segment, and of a new version of a segment."""


def read_segment(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read all or some columns of a segment. Raises EventLogError if it is damaged, and OSError."""
    content = read_regular(path)
    match = SEGMENT.fullmatch(path.name) or SUCCESSOR.fullmatch(path.name)
    if match is None or zlib.crc32(content) != int(match[2], 16):
        raise damaged(path, "its checksum differs from the one in its name")
    try:
        return pa.parquet.read_table(pa.BufferReader(content), columns=columns)
    except pa.ArrowException as error:
        raise damaged(path, str(error)) from error


def count_events(path: Path) -> int:
    """Return the number of events in a segment, from its footer. Raises as `read_segment` does."""
    try:
        with held_open(path) as name:
            return int(pa.parquet.read_metadata(name).num_rows)
    except (pa.ArrowException, OSError) as error:
        # Arrow's own OSErrors have no errno. They are about the content.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise damaged(path, str(error)) from error


def write_segment(
    directory: Path, number: int, table: pa.Table, name: str = "segment-{:08d}-{:08x}.parquet"
) -> Path:
    """Write a segment durably. Its name has its number and its CRC-32. Raises OSError."""
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(table, buffer, compression="zstd")
    content = buffer.getvalue()
    path = directory / name.format(number, zlib.crc32(content))
    write_durably(directory / f"_segment-{number:08d}.tmp", content, path)
    return path


def damaged(path: Path, why: str) -> EventLogError:
    """Return the error of a damaged file of the log, which says what to do."""
    number = path.name.split("-")[1]
    return EventLogError(
        path,
        f"is damaged ({why}): restore it, or rename it to segment-{number}.lost to continue without "
        "its events",
    )
