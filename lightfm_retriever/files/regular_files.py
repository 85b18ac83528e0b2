"""Open regular files that another party may replace by something else.

Opening a FIFO waits until a writer opens it, perhaps forever, and reading a device may never end. So
these functions check a file, open it without waiting, and check it again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Names of this process's own descriptors, such as a shell's <(...). Nobody else can replace them.
_OWN_DESCRIPTOR = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+")


class IrregularFileError(OSError):
    """A path leads to something that isn't a regular file. `strerror` names its kind."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(errno.EINVAL, f"is {kind}, but should be a regular file", str(path))


def check_regular(path: Path) -> os.stat_result:
    """Check a file without opening it. Raises IrregularFileError, or OSError like `stat`."""
    return _checked(path, path.stat())


def check_database(path: Path) -> None:
    """Check that all files that SQLite opens for a database are regular; raises like `check_regular`.

    SQLite would wait for a FIFO with the name of its journal or its write-ahead log.
    """
    check_regular(path)
    # These files are next to the file that a link leads to.
    real = path.resolve()
    for ending in ("-journal", "-wal", "-shm"):
        beside = real.with_name(real.name + ending)
        if beside.is_symlink():
            # SQLite doesn't follow a link here.
            raise IrregularFileError(beside, "a link")
        with contextlib.suppress(FileNotFoundError):
            check_regular(beside)


def open_descriptor(path: Path, flags: int = os.O_RDONLY, mode: int = 0o644) -> int:
    """Open a regular file like `os.open`, without waiting. Also raises IrregularFileError."""
    try:
        check_regular(path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        # It may have been replaced after the first check.
        _checked(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading. Raises like `open_descriptor`."""
    file = _Unwaiting(open_descriptor(path))
    # Otherwise a read error would name the descriptor's number.
    file.name = str(path)
    return io.BufferedReader(file)


def create_regular(path: Path) -> io.BufferedWriter:
    """Open a new or existing regular file for writing, and empty it. Raises like `open_descriptor`."""
    return os.fdopen(open_descriptor(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), "wb")


def open_given(path: Path) -> io.BufferedReader:
    """Open a file that a command reads once: a regular file, or a pipe of the shell.

    Reading from a pipe, `<(...)` or /dev/stdin, waits for its writer. Raises like `open_descriptor`.
    """
    if _OWN_DESCRIPTOR.fullmatch(str(path)) and not path.is_dir():
        return path.open("rb")
    return open_regular(path)


def read_regular(path: Path, *, max_bytes: int | None = None) -> bytes:
    """Read a regular file, or at most `max_bytes` of it. Raises like `open_descriptor`."""
    with open_regular(path) as file:
        return file.read(-1 if max_bytes is None else max_bytes)


@contextmanager
def held_open(path: Path) -> Iterator[str]:
    """Hold a checked regular file open, and yield a name for a library that opens files by name.

    The name leads to this file even if the path is replaced. Raises like `open_descriptor`.
    """
    with open_regular(path) as file:
        name = f"/proc/self/fd/{file.fileno()}"
        # Not every container has /proc.
        yield name if os.path.exists(name) else str(path)  # noqa: PTH110


def lock_regular(path: Path, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> int | None:
    """Create and lock a file, and return its descriptor; None if another process holds the lock.

    Also None if another process has removed the file meanwhile. Raises like `open_descriptor`.
    """
    descriptor = open_descriptor(path, os.O_CREAT | os.O_RDWR)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, how)
            # A file that was removed between opening and locking excludes nobody.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                stack.pop_all()
                return descriptor
    return None


class _Unwaiting(io.FileIO):
    """A file that never waits. Files of /proc and /sys look regular, but some have no data yet."""

    def readinto(self, buffer: Any, /) -> int:
        found: int | None = super().readinto(buffer)
        return self._told(found)

    def readall(self) -> bytes:
        return self._told(super().readall())

    def _told(self, found: T | None) -> T:
        if found is None:
            raise BlockingIOError(errno.EAGAIN, "has nothing to read yet", self.name)
        return found


def _checked(path: Path, found: os.stat_result) -> os.stat_result:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise IrregularFileError(path, _KINDS.get(stat.S_IFMT(found.st_mode), "of another kind"))
    return found
