"""Whether a library that can't load an index says anything about the index."""

from __future__ import annotations

import errno
import mmap
import os
import re
from pathlib import Path

from lightfm_retriever.files.regular_files import open_regular
from lightfm_retriever.publication.errors import InvalidPublicationError, VolumeError, unreadable

# The texts of errors of the system, which end what FAISS says.
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
# What a library says may be left of an earlier call, such as of asking whether a file is a terminal.
_SHORTAGES = (
    *(errno.EACCES, errno.EAGAIN, errno.EINTR, errno.EIO, errno.EMFILE),
    *(errno.ENFILE, errno.ENOMEM, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT),
)
# Of NMSLIB, which gives no reason: the file was there and readable a moment before.
_NO_ROOM = re.compile("Cannot open file|Not enough memory|data_level0_memory_")


def check_mappable(path: Path) -> None:
    """Map a file for a moment; raises as `unreadable` says, where a library would crash."""
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
            pass
    except OSError as error:
        raise unreadable(path, error, "can't be mapped: ") from error
    except ValueError as error:
        raise InvalidPublicationError(path, "is empty") from error


def check_room(path: Path) -> None:
    """Take as much memory as a copy of a file needs for a moment; MemoryError where there is none."""
    size = path.stat().st_size
    try:
        # Pages that nobody touches cost nothing. A quarter more is for what leads to them.
        mmap.mmap(-1, size + size // 4 + 1).close()
    except OSError as error:
        raise MemoryError(f"{path} needs {size / 1e6:.1f} MB") from error


def unloadable(library: str, path: Path, error: Exception) -> VolumeError | InvalidPublicationError:
    """The error for an index that a library can't load: a VolumeError where that may pass."""
    text = str(error)
    what = f"{library} can't load it: "
    if isinstance(error, OSError) and error.errno is not None:
        return unreadable(path, error, what)
    if _NO_ROOM.search(text):
        return VolumeError(path, f"{what}{text}")
    if (number := _number(text)) in _SHORTAGES:
        return unreadable(path, OSError(number, os.strerror(number)), what)
    return InvalidPublicationError(path, f"{what}{text}")


def _number(text: str) -> int | None:
    """The system's error in a library's text, None where there is none."""
    # As Annoy ends: "(24)"; 0 where it was no error of the system.
    if (found := re.search(r"\((\d+)\)$", text)) is not None:
        return int(found[1]) or None
    reason = text.rpartition(": ")[2].removesuffix(")").rpartition("(")[2]
    return _NUMBERS.get(reason)
