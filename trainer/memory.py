"""Memory that was freed and that the process still has."""

from __future__ import annotations

import contextlib
import ctypes

# Its number in glibc's malloc.h, and bytes: what is as large or larger is a mapping of its own.
_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


def release_heap() -> None:
    """Give freed memory back to the system, and from now on large blocks as soon as they are freed.

    The C library (glibc) keeps what may be wanted again: nearly all of what many small allocations
    took, such as those of an id map in the making, and after some large blocks were freed also others
    of up to 32 MB, for each thread. With any other library this does nothing.
    """
    # Another C library, such as musl, has no such functions.
    with contextlib.suppress(AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.malloc_trim(0)
