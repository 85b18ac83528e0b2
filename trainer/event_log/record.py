"""Records which files an event log must have. The record is a file next to the log's directory.

    LFMUST1 CRC {"files": ["segment-00000001-5a3c91d0.parquet", "_wal-00000002"], "bytes": {...}}
    00000002 000000004711 CRC

The log writes the first line durably after it has created a file, and before it acknowledges an event
in that file. It also writes the line after it has rewritten a segment, and before it removes the old
segment. So after a crash, the log has all files of the record, and perhaps more.

The second line says how many bytes of the last write-ahead file are valid. The log overwrites it at
most ten times a second, and at most 0.1 s after an append, without waiting for the disk. The line
survives the end of the process, and usually a power cut. A torn line is ignored.
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
# Writing it at each append would slow appends down measurably.
_NOTE_SECONDS = 0.1


@dataclass(frozen=True)
class Record:
    """The files that an event log must have.

    Attributes:
        files: names of the files, in order; the first one has number 1.
        bytes: minimum number of valid bytes of each write-ahead file, by name.
    """

    files: tuple[str, ...] = ()
    bytes: Mapping[str, int] = field(default_factory=dict)


def path_of(directory: Path) -> Path:
    """Return the path of the record of a log's directory."""
    own = directory.absolute()
    return own.with_name(f"must-have-{own.name}")


def read(directory: Path) -> Record | None:
    """Read the record of a log; None if it is missing, as with logs of earlier releases.

    Raises EventLogError if the record is damaged, and OSError.
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
            f"is damaged, so the trainer can't tell whether files of {directory} were lost: check the "
            "files, and remove this file to continue with them",
        )
    if record.files and tail == _tail(len(record.files), size := _size(tail)):
        last = record.files[-1]
        record = Record(record.files, {**record.bytes, last: max(size, record.bytes.get(last, 0))})
    return record


class EventRecord:
    """Updates the record of a log, for its only writer. Threads may share it. Raises as `read` does."""

    def __init__(self, directory: Path) -> None:
        self._path = path_of(directory)
        self._lock = threading.RLock()
        # The record to write, and the files of the record on the disk.
        self._wanted = read(directory) or Record()
        self._written = self._wanted.files
        self._descriptor: int | None = None
        self._at = 0
        # Number and size of the last write-ahead file, and when to write them.
        self._last = (0, 0)
        self._note_at = 0.0
        # Writes the last size if no append follows; None if the record is up to date.
        self._later: threading.Timer | None = None

    def begin(self, names: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Record all files of a log. Raises OSError."""
        with self._lock:
            self._wanted = Record(tuple(names), dict(sizes))
            self._write()

    def add(self, name: str, *, size: int, before: int) -> None:
        """Record a new last write-ahead file.

        `before` is the final size of the previous one, in bytes. After an OSError, the next change
        records this one, too.
        """
        with self._lock:
            files = self._wanted.files
            sizes = {**self._wanted.bytes, files[-1]: before, name: size}
            self._wanted = Record((*files, name), sizes)
            self._write()

    def become(self, number: int, name: str) -> None:
        """Record a segment as the file of a number. Raises OSError."""
        with self._lock:
            before = self._wanted
            files = list(before.files)
            if len(files) < number:
                # The record on the disk doesn't have it: `begin` follows after the cleaning.
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
        """Return whether the record on the disk, now or after a crash, may name a file."""
        with self._lock:
            return name in self._written

    def grew(self, number: int, size: int) -> None:
        """Record the number of valid bytes of the last write-ahead file. Never fails."""
        self._last = (number, size)
        if self._later is not None:
            return
        now = time.monotonic()
        if now < self._note_at:
            later = threading.Timer(self._note_at - now, self._note_later)
            later.daemon = True
            self._later = later
            # If no thread can be started, write the size now.
            with contextlib.suppress(RuntimeError):
                later.start()
                return
            self._later = None
        self._note_at = now + _NOTE_SECONDS
        self._note()

    def keep(self) -> None:
        """Write the record again if it was removed. Never fails."""
        with self._lock, contextlib.suppress(OSError):
            if self._descriptor is not None:
                own = os.fstat(self._descriptor)
                if not (self._path.exists() and os.path.samestat(own, self._path.lstat())):
                    self._write()

    def close(self) -> None:
        """Write the whole record to the disk. Can be called again."""
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
        # Reset it first: an append that still sees it has set its size, which is written below.
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
