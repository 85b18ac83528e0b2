"""Lists, reads, replaces and removes the files of an event log.

    segment-00000001-5a3c91d0.parquet   events in the order of arrival, immutable; the last eight digits
                                        are the file's CRC-32
    segment-00000002.lost               replaces a lost segment that an operator has given up
    _wal-00000003                       full write-ahead file, which will become segment 3
    _wal-00000004                       current write-ahead file
    _segment-00000001-77e02b14.new      new version of segment 1, without the removed events
    _removals                           random text, which changes with each removal

The numbers run from 1 without gaps, and the last file is a write-ahead file. So a missing file in
between is detected here, and `record` detects missing files at the end. Other files whose names begin
with "_" or "." aren't part of the log. Tools that read folders of Parquet files skip all such names.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from lightfm_retriever.files.durable import fsync_directory, write_durably
from lightfm_retriever.files.regular_files import read_regular
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import Row
from trainer.event_log.record import EventRecord
from trainer.event_log.segments import SCHEMA, SEGMENT, SUCCESSOR, damaged, write_segment
from trainer.event_log.write_ahead import read_blocks

_WAL = re.compile(r"_wal-(\d{8})")
_Kind = Literal["segment", "lost", "wal"]
_KINDS: dict[re.Pattern[str], _Kind] = {
    SEGMENT: "segment",
    SUCCESSOR: "segment",
    re.compile(r"segment-(\d{8})\.lost"): "lost",
    _WAL: "wal",
}
_TEMPORARY = re.compile(r"_(?:(?:wal|segment)-\d{8}|removals)\.tmp")

_REMOVALS = "_removals"
_MARK_BYTES = 64
_BATCH_ROWS = 1 << 16
_log = logging.getLogger(__name__)
_decoder = msgspec.msgpack.Decoder(
    tuple[list[str], list[str], list[str], list[str], list[float], list[float]]
)


@dataclass(frozen=True)
class LogFile:
    """One file of a log. The first `valid_bytes` of a write-ahead file are known to be valid."""

    number: int
    path: Path
    kind: _Kind
    valid_bytes: int = 0

    @property
    def is_successor(self) -> bool:
        """Whether the file is a new version of a segment, whose old version may still exist."""
        return self.path.suffix == ".new"

    @property
    def lasting_name(self) -> str:
        """Name of the file after it has replaced the old version."""
        name = self.path.name
        return f"{name[1:-4]}.parquet" if self.is_successor else name


@contextmanager
def os_errors(directory: Path, what: str) -> Iterator[None]:
    """Turn an OSError into an EventLogError that names the file, or else the directory."""
    try:
        yield
    except OSError as error:
        path = Path(error.filename) if error.filename else directory
        raise EventLogError(path, f"{what}: {error.strerror or error}") from error


def wal_path(directory: Path, number: int) -> Path:
    """Return the path of a write-ahead file."""
    return directory / f"_wal-{number:08d}"


def list_files(directory: Path) -> list[LogFile]:
    """Return the files of the log, in the order of their events.

    Raises EventLogError if a file is missing or doesn't belong to the log, and OSError.
    """
    # A listing may miss a file that is renamed at the same time. Two equal listings don't.
    names = sorted(os.listdir(directory))
    while names != (again := sorted(os.listdir(directory))):
        names = again
    found: dict[int, LogFile] = {}
    # New versions come first, then segments: the file that one replaces may still exist.
    for name in sorted(names, key=lambda name: (not name.endswith(".new"), name.startswith("_"))):
        file = _log_file(directory / name)
        if file is None:
            continue
        other = found.setdefault(file.number, file)
        is_replaced = file.kind == "segment" and other.is_successor and not file.is_successor
        if other != file and file.kind != "wal" and not is_replaced:
            raise EventLogError(file.path, f"is the same segment as {other.path.name}: remove one")
    for number in range(1, len(found) + 1):
        if number not in found:
            raise _missing(directory, number)
    if found and found[len(found)].kind == "segment":
        raise _missing(directory, len(found) + 1)
    return [found[number] for number in sorted(found)]


def clean(directory: Path, record: EventRecord) -> None:
    """Remove leftovers of a crash, and finish replacements that it interrupted; only for the writer.

    A replacement that can't be recorded now is left for later. Raises as `list_files` does.
    """
    for file in list_files(directory):
        if file.is_successor:
            try:
                record.become(file.number, file.lasting_name)
            except OSError as error:
                _log.warning("%s: can't replace the old segment yet: %s", file.path, error)
            else:
                _succeed(file)
    names = os.listdir(directory)
    kept = {file.path.name for file in list_files(directory)}
    for name in names:
        # A write-ahead file that is no longer part of the log has become a segment.
        if _TEMPORARY.fullmatch(name) or (_WAL.fullmatch(name) and name not in kept):
            (directory / name).unlink()
    fsync_directory(directory)


def encode(rows: Sequence[Row]) -> bytes:
    """Encode at least one row as the payload of a block."""
    return msgspec.msgpack.encode(tuple(zip(*rows, strict=True)))


def read_wal(path: Path, *, complete: bool, at_least: int = 0) -> tuple[pa.Table, int]:
    """Return the events of a write-ahead file, and the number of its valid bytes.

    Raises as `read_blocks` does, and EventLogError for fewer valid bytes than `at_least`.
    """
    try:
        payloads, size = read_blocks(path, complete=complete)
        if size < at_least:
            raise EventLogError(path, f"{size} bytes of it are valid, but {at_least} were before")
        return pa.Table.from_batches(_batches(payloads), SCHEMA), size
    except (EventLogError, msgspec.DecodeError) as error:
        reason = error.reason if isinstance(error, EventLogError) else str(error)
        raise damaged(path, reason) from error


def roll(directory: Path, record: EventRecord) -> None:
    """Turn all write-ahead files but the last into segments; only for the writer.

    Raises EventLogError for a damaged file, and OSError. The events then stay in their files.
    """
    for file in list_files(directory)[:-1]:
        if file.kind == "wal":
            table, _ = read_wal(file.path, complete=True)
            replace(file, table, record)


def replace(file: LogFile, table: pa.Table, record: EventRecord) -> None:
    """Replace a segment or a full write-ahead file by a segment with these events; only for the writer.

    Records the new segment after it is on the disk and before the old file is removed. After a crash,
    the log has the old or the new file, or files that `clean` turns into the new one. After an OSError,
    the old file is mostly unchanged.
    """
    directory = file.path.parent
    if file.kind == "wal":
        # If both exist after a crash, the segment counts, not the write-ahead file.
        path = write_segment(directory, file.number, table)
        try:
            record.become(file.number, path.name)
        except OSError as error:
            # The record still names the write-ahead file, and accepts a segment instead.
            _log.warning("%s: can't be recorded as a required file: %s", path, error)
        file.path.unlink()
        fsync_directory(directory)
    else:
        path = write_segment(directory, file.number, table, name="_segment-{:08d}-{:08x}.new")
        successor = LogFile(file.number, path, "segment")
        try:
            record.become(file.number, successor.lasting_name)
        except OSError:
            if not record.says(successor.lasting_name):
                path.unlink()
            raise
        _succeed(successor)


def mark_removal(directory: Path) -> None:
    """Change the log's `removal_mark` durably. Raises OSError."""
    temporary = directory / f"{_REMOVALS}.tmp"
    write_durably(temporary, secrets.token_hex(8).encode(), directory / _REMOVALS)


def removal_mark(directory: Path) -> str:
    """Return a text that changes with each removal; "" before the first one. Raises OSError."""
    try:
        return read_regular(directory / _REMOVALS, max_bytes=_MARK_BYTES).hex()
    except FileNotFoundError:
        return ""


def _batches(payloads: Sequence[memoryview]) -> Iterator[pa.RecordBatch]:
    """Yield batches of medium size: small ones take time, and long Python lists take memory."""
    columns: list[list[Any]] = [[] for _ in SCHEMA]
    blocks: Iterator[tuple[list[Any], ...]] = map(_decoder.decode, payloads)
    for block in blocks:
        for column, values in zip(columns, block, strict=True):
            column.extend(values)
        if len(columns[0]) >= _BATCH_ROWS:
            yield pa.record_batch(columns, schema=SCHEMA)
            columns = [[] for _ in SCHEMA]
    yield pa.record_batch(columns, schema=SCHEMA)


def _succeed(successor: LogFile) -> None:
    """Rename a new version of a segment, and remove the old version. Raises OSError."""
    directory = successor.path.parent
    own = directory / successor.lasting_name
    for old in directory.glob(f"segment-{successor.number:08d}-*.parquet"):
        if old != own:
            old.unlink()
    # Sync in between: a crash must never leave both names.
    fsync_directory(directory)
    os.rename(successor.path, own)
    fsync_directory(directory)


def _log_file(path: Path) -> LogFile | None:
    """Return the file of a path; None if it isn't part of the log.

    Raises EventLogError for a file that mustn't be in the directory.
    """
    for pattern, kind in _KINDS.items():
        if match := pattern.fullmatch(path.name):
            return LogFile(int(match[1]), path, kind)
    if path.name[0] in "._":
        return None
    raise EventLogError(path, "isn't a file of the event log: move it away")


def _missing(directory: Path, number: int) -> EventLogError:
    return EventLogError(
        directory,
        f"part {number} of the event log is missing: restore it, or create an empty file "
        f"segment-{number:08d}.lost to continue without its events",
    )
