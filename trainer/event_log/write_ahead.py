"""Writes and reads write-ahead files: blocks of bytes, each on the disk before the next one begins.

    head:     "LFEVENT1", the file's mark (8 bytes), CRC-32 of the mark (uint32)
    blocks:   mark, length of the payload (uint64), CRC-32 of length and payload (uint32), payload

All numbers are little-endian. The mark is random, so that no sender can forge a block.

A crash can only cut or garble the last block, which wasn't acknowledged yet. So readers ignore an
invalid block at the end. An invalid block before a valid one, or in a complete file, is damage.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from lightfm_retriever.files.durable import write_durably
from lightfm_retriever.files.regular_files import open_descriptor, read_regular
from trainer.event_log.errors import EventLogError

_MAGIC = b"LFEVENT1"
_HEAD = struct.Struct("<8s8sI")
_BLOCK = struct.Struct("<8sQI")
# Looking at each append would slow appends down measurably.
_LOOK_SECONDS = 0.1


class WriteAheadFile:
    """The end of a write-ahead file, for one writer at a time. Its first `size` bytes are durable."""

    def __init__(self, path: Path, descriptor: int, mark: bytes, size: int) -> None:
        self._path = path
        self._descriptor = descriptor
        found = os.fstat(descriptor)
        self._identity = (found.st_dev, found.st_ino)
        # When to check again which file has the name.
        self._look_at = 0.0
        self._mark = mark
        self.size = size
        self._is_cut = True

    @classmethod
    def create(cls, path: Path) -> WriteAheadFile:
        """Create an empty file durably. Raises OSError."""
        mark = secrets.token_bytes(8)
        head = _HEAD.pack(_MAGIC, mark, zlib.crc32(mark))
        try:
            write_durably(path.with_name(f"{path.name}.tmp"), head, path)
            return cls(path, open_descriptor(path, os.O_RDWR), mark, _HEAD.size)
        except BaseException:
            # The file may have its final name already. Readers mustn't find it.
            path.unlink(missing_ok=True)
            raise

    @classmethod
    def open(cls, path: Path, *, size: int) -> WriteAheadFile:
        """Open a file that `read_blocks` has read, to append to it. Cuts off its invalid bytes."""
        descriptor = open_descriptor(path, os.O_RDWR)
        try:
            _, mark, _ = _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0))
            file = cls(path, descriptor, mark, size)
            file._cut()
        except BaseException:
            os.close(descriptor)
            raise
        return file

    def append(self, payload: bytes) -> None:
        """Append a block durably. After an OSError, the file lacks it, and may take the next one."""
        if not self._is_cut:
            self._cut()
        block = _BLOCK.pack(self._mark, len(payload), _crc(payload)) + payload
        # Without this check, a block may go to a removed file, or behind zeros in a file that was cut.
        self.check_place()
        self._is_cut = False
        try:
            _write(self._descriptor, block, self.size)
            os.fsync(self._descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self.size += len(block)
        self._is_cut = True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def check_place(self) -> None:
        """Raise OSError unless a restart would find this file, with the right size, at its path."""
        # This is the cheapest check, and shows at once that the file was removed or cut.
        found = os.fstat(self._descriptor)
        now = time.monotonic()
        if found.st_nlink and found.st_size == self.size and now < self._look_at:
            return
        try:
            found = self._path.stat()
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, f"{self._path.name} is gone: put it back") from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise OSError(
                errno.ESTALE,
                f"{self._path.name} was replaced: put the earlier file back. If this file has all "
                f"{self.size} bytes of it, restart the service instead",
            )
        if found.st_size != self.size:
            raise OSError(
                errno.ESTALE,
                f"{self._path.name} has {found.st_size} bytes, but should have {self.size}: restore "
                "the whole file before you restart the service, since a restart may lose the rest",
            )
        self._look_at = now + _LOOK_SECONDS

    def _cut(self) -> None:
        """Remove the bytes of a failed or interrupted write, so that no block follows them."""
        os.ftruncate(self._descriptor, self.size)
        os.fsync(self._descriptor)
        self._is_cut = True


def read_blocks(path: Path, *, complete: bool) -> tuple[Sequence[memoryview], int]:
    """Return the payloads of a file, and the number of its valid bytes.

    `complete` says that the file is no longer written, so its last block must be valid. Raises
    EventLogError if the file is damaged.
    """
    content = read_regular(path)
    head = content[: _HEAD.size]
    mark = head[len(_MAGIC) : len(_MAGIC) + 8]
    if head != _HEAD.pack(_MAGIC, mark, zlib.crc32(mark)):
        raise EventLogError(path, "its first bytes aren't those of a write-ahead file")
    view = memoryview(content)
    payloads = []
    at = _HEAD.size
    while at < len(content):
        payload = _block(view, at, mark)
        if payload is None:
            if complete or _has_block(content, view, at + 1, mark):
                raise EventLogError(path, f"no valid block at byte {at}")
            break
        payloads.append(payload)
        at += _BLOCK.size + len(payload)
    return payloads, at


def _crc(payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(8, "little")))


def _block(view: memoryview, at: int, mark: bytes) -> memoryview | None:
    """Return the payload of the block at a position; None if the block isn't valid."""
    start = at + _BLOCK.size
    if start > len(view):
        return None
    found, length, crc = _BLOCK.unpack_from(view, at)
    if found != mark or length > len(view) - start:
        return None
    payload = view[start : start + length]
    return payload if _crc(payload) == crc else None


def _has_block(content: bytes, view: memoryview, at: int, mark: bytes) -> bool:
    while (at := content.find(mark, at)) >= 0:
        if _block(view, at, mark) is not None:
            return True
        at += 1
    return False


def _write(descriptor: int, content: bytes, at: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, at)
        view = view[written:]
        at += written
