"""A record of which files an event log must have; beside its directory, so that it outlives that.

    LFMUST1 CRC {"files": ["segment-00000001-5a3c91d0.parquet", "_wal-00000002"], "bytes": {...}}
    00000002 000000004711 CRC

The first line is on the disk when it is needed: after a file was begun and before an event in it is
acknowledged, and after a segment was rewritten and before the one of before is removed. So a crash
leaves a record that says less than there is, and never more. The second line says how many bytes of the
last write-ahead file are valid. It is overwritten at most ten times a second, at most 0.1 s after an
append, and without waiting for the disk: it outlives the process, mostly also the machine, and one that
is torn counts for nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lightfm_retriever.files.durable import fsync_directory
from lightfm_retriever.files.regular_files import open_descriptor, read_regular
from trainer.event_log.errors import EventLogError

_MAGIC = b"LFMUST1"
# At each append it would be measurable.
_NOTE_SECONDS = 0.1


@dataclass(frozen=True)
class Record:
    """What an event log must have: files by their names, the first of which is of number 1.

    `bytes`: of write-ahead files, how many are valid at least.
    """

    files: tuple[str, ...] = ()
    bytes: Mapping[str, int] = field(default_factory=dict)


def path_of(directory: Path) -> Path:
    """Where the record of a log's directory is."""
    own = directory.absolute()
    return own.with_name(f"must-have-{own.name}")


def read(directory: Path) -> Record | None:
    """The record of a log; None when there is none, as of a log of a release before.

    Raises EventLogError when it is damaged, and OSError.
    """
    path = path_of(directory)
    try:
        head, _, tail = read_regular(path).partition(b"\n")
    except FileNotFoundError:
        return None
    magic, _, rest = head.partition(b" ")
    crc, _, content = rest.partition(b" ")
    record = None
    with contextlib.suppress(msgspec.MsgspecError):
        if magic == _MAGIC and crc == _crc(content):
            record = msgspec.json.decode(content, type=Record)
    if record is None:
        raise EventLogError(
            path,
            f"is damaged, so that nobody can say whether {directory} has all its files: look, and "
            "remove this file to go on with what is there",
        )
    if record.files and tail == _tail(len(record.files), size := _size(tail)):
        last = record.files[-1]
        record = Record(record.files, {**record.bytes, last: max(size, record.bytes.get(last, 0))})
    return record


class EventRecord:
    """The record of a log, for its only writer; threads may share it. Raises as `read`."""

    def __init__(self, directory: Path) -> None:
        self._path = path_of(directory)
        self._lock = threading.RLock()
        # What it is to say, and the files that the one on the disk has.
        self._wanted = read(directory) or Record()
        self._written = self._wanted.files
        self._descriptor: int | None = None
        self._at = 0
        # The number and size of the last write-ahead file, and when to write them.
        self._last = (0, 0)
        self._note_at = 0.0
        # Writes the last when no append follows; None while all of it is written.
        self._later: threading.Timer | None = None

    def begin(self, names: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Say that a log has these files; OSError when that can't be written."""
        with self._lock:
            self._wanted = Record(tuple(names), dict(sizes))
            self._write()

    def add(self, name: str, *, size: int, before: int) -> None:
        """Have another write-ahead file be the last; `before`: how large the one before it has become.

        After an OSError the next change says this too.
        """
        with self._lock:
            files = self._wanted.files
            sizes = {**self._wanted.bytes, files[-1]: before, name: size}
            self._wanted = Record((*files, name), sizes)
            self._write()

    def become(self, number: int, name: str) -> None:
        """Have a segment be the file of a number; OSError when that can't be written."""
        with self._lock:
            before = self._wanted
            files = list(before.files)
            if len(files) < number:
                # The one on the disk says nothing of it: `begin` comes after the clearing up.
                return
            files[number - 1] = name
            sizes = {own: size for own, size in before.bytes.items() if own in files}
            self._wanted = Record(tuple(files), sizes)
            try:
                self._write()
            except OSError:
                if self._written != self._wanted.files:
                    self._wanted = before
                raise

    def says(self, name: str) -> bool:
        """Whether the one on the disk, or the one that a crash leaves there, has a file."""
        with self._lock:
            return name in self._written

    def grew(self, number: int, size: int) -> None:
        """Say how many bytes of the last write-ahead file are valid; never fails."""
        self._last = (number, size)
        if self._later is not None:
            return
        now = time.monotonic()
        if now < self._note_at:
            later = threading.Timer(self._note_at - now, self._note_later)
            later.daemon = True
            self._later = later
            # Where no thread can be had it is written now.
            with contextlib.suppress(RuntimeError):
                later.start()
                return
            self._later = None
        self._note_at = now + _NOTE_SECONDS
        self._note()

    def keep(self) -> None:
        """Write it again where somebody removed it; never fails."""
        with self._lock, contextlib.suppress(OSError):
            if self._descriptor is not None:
                own = os.fstat(self._descriptor)
                if not (self._path.exists() and os.path.samestat(own, self._path.lstat())):
                    self._write()

    def close(self) -> None:
        """Have all of it on the disk. Can be repeated."""
        if (later := self._later) is not None:
            later.cancel()
        with self._lock:
            if self._descriptor is not None:
                self._note()
                with contextlib.suppress(OSError):
                    os.fsync(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = None

    def _note_later(self) -> None:
        self._note_at = time.monotonic() + _NOTE_SECONDS
        # First: an append that still sees it set has told its size, which is written below.
        self._later = None
        self._note()

    def _note(self) -> None:
        with self._lock:
            number, size = self._last
            if self._descriptor is not None and number == len(self._written):
                with contextlib.suppress(OSError):
                    os.pwrite(self._descriptor, _tail(number, size), self._at)
            self.keep()

    def _write(self) -> None:
        files, sizes = self._wanted.files, self._wanted.bytes
        content = msgspec.json.encode({"files": files, "bytes": sizes})
        head = b" ".join((_MAGIC, _crc(content), content)) + b"\n"
        temporary = self._path.with_name(f"{self._path.name}.tmp")
        descriptor = open_descriptor(temporary, os.O_CREAT | os.O_TRUNC | os.O_RDWR)
        try:
            number, size = self._last
            if number != len(files):
                number, size = len(files), sizes.get(files[-1], 0) if files else 0
            whole = head + _tail(number, size)
            if os.write(descriptor, whole) != len(whole):
                raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
            os.fsync(descriptor)
            os.rename(temporary, self._path)
        except BaseException:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._at, self._written = descriptor, len(head), files
        fsync_directory(self._path.parent)


def _tail(number: int, size: int) -> bytes:
    text = b"%08d %012d" % (number, size)
    return text + b" " + _crc(text) + b"\n"


def _size(tail: bytes) -> int:
    text = tail[9:21]
    return int(text) if text.isdigit() else 0


def _crc(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)
