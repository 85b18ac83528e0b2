"""Who uses which version of a cache: locks that end with the process, in a file for each version."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lightfm_retriever.files.regular_files import lock_regular

# Waiting for a lock in the kernel would end with the lock only.
_LOOK_SECONDS = 0.05


class Uses:
    """The uses of one cache; the time of a version's file is that of its latest use.

    Safe for threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, version: str) -> None:
        """Keep a version from being removed by anyone, until `keep_only` or the end of the process."""
        path = self._folder / version
        with self._lock:
            while version not in self._own:
                if (descriptor := lock_regular(path, fcntl.LOCK_SH)) is not None:
                    self._own[version] = descriptor
            os.utime(path)

    def keep_only(self, versions: Collection[str]) -> None:
        """Stop using all others."""
        with self._lock:
            for version in [*self._own]:
                if version not in versions:
                    os.close(self._own.pop(version))

    def latest(self, version: str) -> float:
        """When it was used last, in seconds since 1970; 0 for never."""
        try:
            return (self._folder / version).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def unless_used(self, version: str, call: Callable[[], None]) -> bool:
        """Call it, and forget the version, unless someone uses that; returns whether it did."""
        path = self._folder / version
        with alone(path) as free:
            if free:
                call()
                # Those who wait for it notice that it is another file's name by then.
                path.unlink(missing_ok=True)
            return free


@contextmanager
def locked(path: Path, *, wanted: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Wait until nobody has the file locked, which is made, and lock it.

    Raises TimeoutError when it isn't `wanted` any more, FileNotFoundError when its folder is gone.
    """
    while (descriptor := lock_regular(path)) is None:
        if not wanted():
            raise TimeoutError("isn't wanted any more")
        time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Lock the file unless somebody else has, or its folder is gone; yields whether that is so."""
    descriptor = None
    with suppress(FileNotFoundError):
        descriptor = lock_regular(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)
