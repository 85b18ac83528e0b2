"""A write-ahead file: blocks of bytes, each of which is on the disk before the next one is begun.

    head:     "LFEVENT1", the file's mark (8 bytes), CRC-32 of the mark (uint32)
    blocks:   mark, length of the payload (uint64), CRC-32 of length and payload (uint32), payload

All numbers are little-endian. The mark is random, so that no content can be made to look like a block.

A crash can cut short, or garble, the last block only, and that one was not yet acknowledged. So an
invalid block at the end is left out; one with a valid block after it, or in a file that is complete, is
damage.
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
# At each append it would be measurable.
_LOOK_SECONDS = 0.1


class WriteAheadFile:
    """The end of a write-ahead file, of which `size` bytes are durable; for one writer at a time."""

    def __init__(self, path: Path, descriptor: int, mark: bytes, size: int) -> None:
        self._path = path
        self._descriptor = descriptor
        found = os.fstat(descriptor)
        self._identity = (found.st_dev, found.st_ino)
        # When to look again what its name leads to.
        self._look_at = 0.0
        self._mark = mark
        self.size = size
        self._is_cut = True

    @classmethod
    def create(cls, path: Path) -> WriteAheadFile:
        """Make an empty file, durably; OSError when that can't be done."""
        mark = secrets.token_bytes(8)
        head = _HEAD.pack(_MAGIC, mark, zlib.crc32(mark))
        try:
            write_durably(path.with_name(f"{path.name}.tmp"), head, path)
            return cls(path, open_descriptor(path, os.O_RDWR), mark, _HEAD.size)
        except BaseException:
            # It may have got its name already, under which it would be found.
            path.unlink(missing_ok=True)
            raise

    @classmethod
    def open(cls, path: Path, *, size: int) -> WriteAheadFile:
        """Open a file that `read_blocks` has read, to go on after its valid bytes; cuts off others."""
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
        """Add a block, durably. After an OSError it isn't there, and the next one may be possible."""
        if not self._is_cut:
            self._cut()
        block = _BLOCK.pack(self._mark, len(payload), _crc(payload)) + payload
        # Else a block may go to a file that was removed, or behind zeros where the file was cut.
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
        """Raise OSError unless a restart would find the file by its name, as large as it must be."""
        # Of what is removed or cut this tells at once, and costs least.
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
                f"{self._path.name} was replaced: put the file of before back, or, where "
                f"this one has all of its {self.size} bytes, start the service again",
            )
        if found.st_size != self.size:
            raise OSError(
                errno.ESTALE,
                f"{self._path.name} has {found.st_size} bytes, but should have {self.size}: restore "
                "the whole file before the service starts again, for a start may lose the rest",
            )
        self._look_at = now + _LOOK_SECONDS

    def _cut(self) -> None:
        """Remove what a failed or interrupted write has left, so that nothing comes to lie after it."""
        os.ftruncate(self._descriptor, self.size)
        os.fsync(self._descriptor)
        self._is_cut = True


def read_blocks(path: Path, *, complete: bool) -> tuple[Sequence[memoryview], int]:
    """The payloads of a file, and how many bytes of it are valid; EventLogError for damage.

    `complete`: whether nobody writes to it any more, so that its last block has to be whole.
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
    """The payload of the block at a position, None when it isn't whole."""
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
