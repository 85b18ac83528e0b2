"""Decide whether an index that a library can't load is invalid, or whether the failure may pass."""

from __future__ import annotations

import errno
import mmap
import os
import re
from pathlib import Path

from lightfm_retriever.files.regular_files import open_regular
from lightfm_retriever.publication.errors import InvalidPublicationError, VolumeError, unreadable

# Texts of system errors. Error messages of FAISS end with one.
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
# System errors that count. Others may stem from an earlier call, such as a check for a terminal.
_SHORTAGES = (
    *(errno.EACCES, errno.EAGAIN, errno.EINTR, errno.EIO, errno.EMFILE),
    *(errno.ENFILE, errno.ENOMEM, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT),
)
# Errors of NMSLIB, which names no cause. The file existed and was readable just before.
_NO_ROOM = re.compile("Cannot open file|Not enough memory|data_level0_memory_")


def check_mappable(path: Path) -> None:
    """Check that a file can be mapped, because a library would crash. Raises as `unreadable` says."""
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
            pass
    except OSError as error:
        raise unreadable(path, error, "can't be mapped: ") from error
    except ValueError as error:
        raise InvalidPublicationError(path, "is empty") from error


def check_room(path: Path) -> None:
    """Check that there is enough memory for a copy of a file. Raises MemoryError if there isn't."""
    size = path.stat().st_size
    try:
        # Untouched pages cost nothing. The additional quarter is for NMSLIB's own structures.
        mmap.mmap(-1, size + size // 4 + 1).close()
    except OSError as error:
        raise MemoryError(f"{path} needs {size / 1e6:.1f} MB") from error


def unloadable(library: str, path: Path, error: Exception) -> VolumeError | InvalidPublicationError:
    """Return the error for an index that a library can't load: a VolumeError if it may pass."""
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
    """Return the system error number in the text of a library, None if there is none."""
    # Annoy's texts end with the number, such as "(24)"; 0 means that it isn't a system error.
    if (found := re.search(r"\((\d+)\)$", text)) is not None:
        return int(found[1]) or None
    reason = text.rpartition(": ")[2].removesuffix(")").rpartition("(")[2]
    return _NUMBERS.get(reason)
