"""The files of an event log, and what is in them.

    segment-00000001-5a3c91d0.parquet   events in the order of their arrival, immutable; the last eight
                                        digits are the CRC-32 of the file
    segment-00000002.lost               stands for a segment that an operator has given up
    _wal-00000003                       a write-ahead file that is full and will be segment 3
    _wal-00000004                       the one that is written

The numbers run from 1 without gaps, and the last file is a write-ahead file, so that a file that has
vanished is noticed. Other files whose names begin with "_" or "." are no part of the log; tools that
read folders of Parquet files leave out all of those.
"""

from __future__ import annotations

import fcntl
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet

from publication.durable import fsync_directory
from trainer.event_errors import EventLogError
from trainer.events import Row
from trainer.write_ahead import read_blocks

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

_SEGMENT = re.compile(r"segment-(\d{8})-([0-9a-f]{8})\.parquet")
_LOST = re.compile(r"segment-(\d{8})\.lost")
_WAL = re.compile(r"_wal-(\d{8})")
_TEMPORARY = re.compile(r"_(?:wal|segment)-\d{8}\.tmp")

_LOCK = "_lock"
_BATCH_ROWS = 1 << 16
_decoder = msgspec.msgpack.Decoder(
    tuple[list[str], list[str], list[str], list[str], list[float], list[float]]
)


@dataclass(frozen=True)
class LogFile:
    """One file of a log."""

    number: int
    path: Path
    kind: Literal["segment", "lost", "wal"]


@contextmanager
def os_errors(directory: Path, what: str) -> Iterator[None]:
    """Have an OSError become an EventLogError that names the file, or else the directory."""
    try:
        yield
    except OSError as error:
        path = Path(error.filename) if error.filename else directory
        raise EventLogError(path, f"{what}: {error.strerror or error}") from error


def wal_path(directory: Path, number: int) -> Path:
    """Where a write-ahead file is."""
    return directory / f"_wal-{number:08d}"


def list_files(directory: Path) -> list[LogFile]:
    """The files that make up the log, in the order of their events.

    Raises:
        EventLogError: one is missing or doesn't belong there.
        OSError: the directory can't be read.
    """
    # A listing may miss a file that is renamed meanwhile; two that agree don't.
    names = sorted(os.listdir(directory))
    while names != (again := sorted(os.listdir(directory))):
        names = again
    found: dict[int, LogFile] = {}
    # Segments come first, by their names: what is in one may still be in a write-ahead file too.
    for name in sorted(names, key=lambda name: name.startswith("_")):
        file = _log_file(directory / name)
        if file is None:
            continue
        other = found.setdefault(file.number, file)
        if other != file and file.kind != "wal":
            raise EventLogError(file.path, f"is the same segment as {other.path.name}: remove one")
    for number in range(1, len(found) + 1):
        if number not in found:
            raise _missing(directory, number)
    if found and found[len(found)].kind == "segment":
        raise _missing(directory, len(found) + 1)
    return [found[number] for number in sorted(found)]


def lock(directory: Path) -> int:
    """Keep other writers out; returns what `unlock` takes.

    Raises:
        EventLogError: there is another writer.
        OSError: the directory can't be written.
    """
    descriptor = os.open(directory / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise EventLogError(directory, "another process writes to this event log") from error
        raise
    return descriptor


def unlock(descriptor: int) -> None:
    """Let other writers in."""
    # A child that was forked meanwhile may still have the file open.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def clean(directory: Path) -> None:
    """Remove what a crash has left behind; only for the writer. OSError when that can't be done."""
    names = os.listdir(directory)
    kept = {file.path.name for file in list_files(directory)}
    for name in names:
        # A write-ahead file that isn't part of the log any more has become a segment.
        if _TEMPORARY.fullmatch(name) or (_WAL.fullmatch(name) and name not in kept):
            (directory / name).unlink()
    fsync_directory(directory)


def encode(rows: Sequence[Row]) -> bytes:
    """The payload of a block; at least one row."""
    return msgspec.msgpack.encode(tuple(zip(*rows, strict=True)))


def read_wal(path: Path, *, complete: bool) -> tuple[pa.Table, int]:
    """The events of a write-ahead file, and how many bytes of it are valid; raises as `read_blocks`."""
    try:
        payloads, size = read_blocks(path, complete=complete)
        return pa.Table.from_batches(_batches(payloads), SCHEMA), size
    except (EventLogError, msgspec.DecodeError) as error:
        reason = error.reason if isinstance(error, EventLogError) else str(error)
        raise _damaged(path, reason) from error


def read_segment(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns, or all, of a segment.

    Raises:
        EventLogError: it is damaged.
        OSError: it can't be read.
    """
    content = path.read_bytes()
    match = _SEGMENT.fullmatch(path.name)
    if match is None or zlib.crc32(content) != int(match[2], 16):
        raise _damaged(path, "its checksum isn't the one in its name")
    try:
        return pa.parquet.read_table(pa.BufferReader(content), columns=columns)
    except pa.ArrowException as error:
        raise _damaged(path, str(error)) from error


def measure_segment(path: Path) -> tuple[int, float, float]:
    """How many events a segment has, and the oldest and the newest timestamp, from its footer alone.

    Raises:
        EventLogError: it is damaged.
        OSError: it can't be read.
    """
    try:
        facts = pa.parquet.read_metadata(path)
        column = facts.schema.names.index("timestamp")
        groups = [
            facts.row_group(group).column(column).statistics
            for group in range(facts.num_row_groups)
            if facts.row_group(group).num_rows
        ]
        oldest = min((found.min for found in groups), default=float("inf"))
        newest = max((found.max for found in groups), default=float("-inf"))
        return facts.num_rows, oldest, newest
    except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
        # Arrow's own OSErrors, which have no number, are about the content.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(path, str(error)) from error


def roll(directory: Path) -> None:
    """Turn all write-ahead files but the last into segments; only for the writer.

    Raises:
        EventLogError: one is damaged.
        OSError: the disk is full, for instance; the events stay where they are.
    """
    for file in list_files(directory)[:-1]:
        if file.kind == "wal":
            table, _ = read_wal(file.path, complete=True)
            _write_segment(directory, file.number, table)
            file.path.unlink()
            fsync_directory(directory)


def _batches(payloads: Sequence[memoryview]) -> Iterator[pa.RecordBatch]:
    """Batches of a good size: small ones take time, and long lists far more memory than Arrow."""
    columns: list[list[Any]] = [[] for _ in SCHEMA]
    blocks: Iterator[tuple[list[Any], ...]] = map(_decoder.decode, payloads)
    for block in blocks:
        for column, values in zip(columns, block, strict=True):
            column.extend(values)
        if len(columns[0]) >= _BATCH_ROWS:
            yield pa.record_batch(columns, schema=SCHEMA)
            columns = [[] for _ in SCHEMA]
    yield pa.record_batch(columns, schema=SCHEMA)


def _write_segment(directory: Path, number: int, table: pa.Table) -> None:
    buffer = pa.BufferOutputStream()
    pa.parquet.write_table(table, buffer, compression="zstd")
    content = buffer.getvalue()
    temporary = directory / f"_segment-{number:08d}.tmp"
    try:
        with temporary.open("wb") as output:
            output.write(content)
            output.flush()
            os.fsync(output.fileno())
        crc = zlib.crc32(content)
        os.rename(temporary, directory / f"segment-{number:08d}-{crc:08x}.parquet")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(directory)


def _log_file(path: Path) -> LogFile | None:
    """What a file is, None when it is no part of the log; EventLogError when it mustn't be there."""
    if match := _SEGMENT.fullmatch(path.name):
        return LogFile(int(match[1]), path, "segment")
    if match := _LOST.fullmatch(path.name):
        return LogFile(int(match[1]), path, "lost")
    if match := _WAL.fullmatch(path.name):
        return LogFile(int(match[1]), path, "wal")
    if path.name[0] in "._":
        return None
    raise EventLogError(path, "isn't a file of the event log: move it away")


def _missing(directory: Path, number: int) -> EventLogError:
    return EventLogError(
        directory,
        f"part {number} of the event log is missing: restore it, or make an empty file "
        f"segment-{number:08d}.lost to go on without its events",
    )


def _damaged(path: Path, why: str) -> EventLogError:
    number = path.name.split("-")[1]
    return EventLogError(
        path,
        f"is damaged ({why}): restore it, or rename it to segment-{number}.lost to go on without its "
        "events",
    )
