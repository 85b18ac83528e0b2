"""Opening files that another party may replace: nothing but a regular file is ever waited for.

Opening a FIFO waits until somebody writes to it, perhaps for ever, and a device may never end. So what
a name leads to is looked at before it is opened, opened without waiting, and looked at again.
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
# This process's own descriptors, as a shell's <(...) names them: nobody else can replace them.
_OWN_DESCRIPTOR = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+")


class IrregularFileError(OSError):
    """What a name leads to is no regular file. `strerror` says what it is."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(errno.EINVAL, f"is {kind}, but should be a regular file", str(path))


def check_regular(path: Path) -> os.stat_result:
    """Look at a file without opening it; raises IrregularFileError, and OSError as `stat` does."""
    return _checked(path, path.stat())


def check_database(path: Path) -> None:
    """Check that what SQLite opens of a database are regular files; raises as `check_regular` does.

    SQLite waits at a FIFO that has the name of a journal or a log of changes.
    """
    check_regular(path)
    # They are beside what a link leads to.
    real = path.resolve()
    for ending in ("-journal", "-wal", "-shm"):
        beside = real.with_name(real.name + ending)
        if beside.is_symlink():
            # SQLite follows no link here.
            raise IrregularFileError(beside, "a link")
        with contextlib.suppress(FileNotFoundError):
            check_regular(beside)


def open_descriptor(path: Path, flags: int = os.O_RDONLY, mode: int = 0o644) -> int:
    """Open a regular file as `os.open` does, without waiting; raises IrregularFileError, too."""
    try:
        check_regular(path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        # It may have been replaced after the first look.
        _checked(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading; raises as `open_descriptor` does."""
    file = _Unwaiting(open_descriptor(path))
    # Else an error of reading it would tell the descriptor's number.
    file.name = str(path)
    return io.BufferedReader(file)


def create_regular(path: Path) -> io.BufferedWriter:
    """Open a file for writing it anew, in place of what a regular one held; raises so, too."""
    return os.fdopen(open_descriptor(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), "wb")


def open_given(path: Path) -> io.BufferedReader:
    """Open a file that a command reads once: a regular one, or a pipe that its shell gave it.

    That pipe, of `<(...)` or /dev/stdin, is waited for. Raises as `open_descriptor` does.
    """
    if _OWN_DESCRIPTOR.fullmatch(str(path)) and not path.is_dir():
        return path.open("rb")
    return open_regular(path)


def read_regular(path: Path, *, max_bytes: int | None = None) -> bytes:
    """Read a regular file, or no more than so many bytes of it; raises as `open_descriptor` does."""
    with open_regular(path) as file:
        return file.read(-1 if max_bytes is None else max_bytes)


@contextmanager
def held_open(path: Path) -> Iterator[str]:
    """A name of a regular file, checked and open, for a library that opens files by name.

    The library can't meet another file by this name, whatever becomes of the path. Raises as
    `open_descriptor` does.
    """
    with open_regular(path) as file:
        name = f"/proc/self/fd/{file.fileno()}"
        # Not every container shows its processes.
        yield name if os.path.exists(name) else str(path)  # noqa: PTH110


def lock_regular(path: Path, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> int | None:
    """Lock a file, which is made, and return its descriptor; None when somebody else has it.

    Also None when somebody has removed it meanwhile. Raises as `open_descriptor` does.
    """
    descriptor = open_descriptor(path, os.O_CREAT | os.O_RDWR)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, how)
            # One that was removed between opening and locking it keeps nobody out.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                stack.pop_all()
                return descriptor
    return None


class _Unwaiting(io.FileIO):
    """Files of /proc and /sys look regular, and some have nothing to read until something happens."""

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
