"""Which versions of a cache are in use: a lock file for each version; locks end with the process."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lightfm_retriever.files.regular_files import lock_regular

# Waiting for a lock in the kernel couldn't be cancelled, so poll.
_LOOK_SECONDS = 0.05


class Uses:
    """The uses of one cache. The time of a version's lock file is that of its latest use.

    Threads may share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, version: str) -> None:
        """Protect a version from removal until `keep_only` or the end of the process."""
        path = self._folder / version
        with self._lock:
            while version not in self._own:
                if (descriptor := lock_regular(path, fcntl.LOCK_SH)) is not None:
                    self._own[version] = descriptor
            os.utime(path)

    def keep_only(self, versions: Collection[str]) -> None:
        """Stop using all other versions."""
        with self._lock:
            for version in [*self._own]:
                if version not in versions:
                    os.close(self._own.pop(version))

    def latest(self, version: str) -> float:
        """Return the time of the latest use, in seconds since 1970; 0 for never."""
        try:
            return (self._folder / version).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def unless_used(self, version: str, call: Callable[[], None]) -> bool:
        """Call a function and forget the version, unless it is in use. Returns whether it called."""
        path = self._folder / version
        with alone(path) as free:
            if free:
                call()
                # A process that waits for the lock notices that the path has another file.
                path.unlink(missing_ok=True)
            return free


@contextmanager
def locked(path: Path, *, wanted: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Create the file, wait until nobody has it locked, and lock it.

    Raises:
        TimeoutError: the lock isn't `wanted` any more.
        FileNotFoundError: the folder of the file has gone.
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
    """Lock the file if nobody else has and its folder exists; yields whether it was locked."""
    descriptor = None
    with suppress(FileNotFoundError):
        descriptor = lock_regular(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)
