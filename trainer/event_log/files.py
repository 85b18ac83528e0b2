"""The files of an event log, and what is in them.

    segment-00000001-5a3c91d0.parquet   events in the order of their arrival, immutable; the last eight
                                        digits are the CRC-32 of the file
    segment-00000002.lost               stands for a segment that an operator has given up
    _wal-00000003                       a write-ahead file that is full and will be segment 3
    _wal-00000004                       the one that is written
    _segment-00000001-77e02b14.new      what takes the place of segment 1, from which events are removed
    _removals                           a random text, another one after each removal

The numbers run from 1 without gaps, and the last file is a write-ahead file, so that a file that has
vanished is noticed; `record` notices that all are gone, or the last ones. Other files whose names
begin with "_" or "." are no part of the log; tools that read folders of Parquet files leave out all of
those.
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
    """One file of a log; of a write-ahead file at least `valid_bytes` are known to have been valid."""

    number: int
    path: Path
    kind: _Kind
    valid_bytes: int = 0

    @property
    def is_successor(self) -> bool:
        """Whether it is a segment that takes the place of another one, which may still be there."""
        return self.path.suffix == ".new"

    @property
    def lasting_name(self) -> str:
        """The name that it has once it has taken the place of what was before."""
        name = self.path.name
        return f"{name[1:-4]}.parquet" if self.is_successor else name


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

    Raises EventLogError when one is missing or doesn't belong there, and OSError.
    """
    # A listing may miss a file that is renamed meanwhile; two that agree don't.
    names = sorted(os.listdir(directory))
    while names != (again := sorted(os.listdir(directory))):
        names = again
    found: dict[int, LogFile] = {}
    # Successors come first, then segments: what is in one may still be in the file before it too.
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
    """Remove what a crash has left behind, and end what it interrupted; only for the writer.

    What can't be noted in the record now stays as it is. Raises as `list_files`.
    """
    for file in list_files(directory):
        if file.is_successor:
            try:
                record.become(file.number, file.lasting_name)
            except OSError as error:
                _log.warning("%s: can't take its place yet: %s", file.path, error)
            else:
                _succeed(file)
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


def read_wal(path: Path, *, complete: bool, at_least: int = 0) -> tuple[pa.Table, int]:
    """The events of a write-ahead file, and how many bytes of it are valid; raises as `read_blocks`.

    Fewer valid bytes than `at_least` are damage too.
    """
    try:
        payloads, size = read_blocks(path, complete=complete)
        if size < at_least:
            raise EventLogError(path, f"{size} bytes of it are valid, but {at_least} were")
        return pa.Table.from_batches(_batches(payloads), SCHEMA), size
    except (EventLogError, msgspec.DecodeError) as error:
        reason = error.reason if isinstance(error, EventLogError) else str(error)
        raise damaged(path, reason) from error


def roll(directory: Path, record: EventRecord) -> None:
    """Turn all write-ahead files but the last into segments; only for the writer.

    Raises EventLogError when one is damaged, and OSError; the events stay where they are.
    """
    for file in list_files(directory)[:-1]:
        if file.kind == "wal":
            table, _ = read_wal(file.path, complete=True)
            replace(file, table, record)


def replace(file: LogFile, table: pa.Table, record: EventRecord) -> None:
    """Have a segment with these events take the place of a file; only for the writer.

    The file is a segment or a write-ahead file that isn't the last. The record is told of the segment
    when that is on the disk, and before the file goes. A crash leaves one of both, or what `clean`
    makes the new one of. After an OSError the file is mostly as it was.
    """
    directory = file.path.parent
    if file.kind == "wal":
        # A segment counts more than the write-ahead file of its number.
        path = write_segment(directory, file.number, table)
        try:
            record.become(file.number, path.name)
        except OSError as error:
            # The record says that there is the write-ahead file, whose place a segment may take.
            _log.warning("%s: can't be noted as one that must exist: %s", path, error)
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
    """Have the log have another `removal_mark` from now on, durably; OSError when it can't be done."""
    temporary = directory / f"{_REMOVALS}.tmp"
    write_durably(temporary, secrets.token_hex(8).encode(), directory / _REMOVALS)


def removal_mark(directory: Path) -> str:
    """What differs after events were removed; "" before that. OSError when it can't be read."""
    try:
        return read_regular(directory / _REMOVALS, max_bytes=_MARK_BYTES).hex()
    except FileNotFoundError:
        return ""


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


def _succeed(successor: LogFile) -> None:
    """Give a segment the place of the one that it was made for, which is removed; raises OSError."""
    directory = successor.path.parent
    own = directory / successor.lasting_name
    for old in directory.glob(f"segment-{successor.number:08d}-*.parquet"):
        if old != own:
            old.unlink()
    # Not both names at once, whatever order a crash leaves them in.
    fsync_directory(directory)
    os.rename(successor.path, own)
    fsync_directory(directory)


def _log_file(path: Path) -> LogFile | None:
    """What a file is, None when it is no part of the log; EventLogError when it mustn't be there."""
    for pattern, kind in _KINDS.items():
        if match := pattern.fullmatch(path.name):
            return LogFile(int(match[1]), path, kind)
    if path.name[0] in "._":
        return None
    raise EventLogError(path, "isn't a file of the event log: move it away")


def _missing(directory: Path, number: int) -> EventLogError:
    return EventLogError(
        directory,
        f"part {number} of the event log is missing: restore it, or make an empty file "
        f"segment-{number:08d}.lost to go on without its events",
    )
