"""What is read from files, and read again whenever they change.

A thread looks at them every second, so that no call and no connection ever waits for a file. It
compares what the files hold: that they were replaced, linked anew (as Kubernetes does) or written to in
place makes no difference, and no clock of a file system is trusted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lightfm_retriever.files.regular_files import open_given, open_regular
from lightfm_retriever.hosting.errors import HostingError

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_PART_BYTES = 1 << 16
_MOST_PARTS = 64
_MAX_BYTES = _MOST_PARTS * _PART_BYTES


@dataclass(frozen=True)
class WatchedFile:
    """A file, and the flag that names it. What is read `once` may be a pipe of a shell's."""

    flag: str
    path: Path
    once: bool = False

    def __str__(self) -> str:
        return f"{self.flag} {self.path}"

    def read(self) -> bytes:
        """What it holds; raises HostingError."""
        try:
            with (open_given if self.once else open_regular)(self.path) as file:
                # Not all that there may be at once, since room for it would be made every second.
                content = b"".join(islice(iter(partial(file.read, _PART_BYTES), b""), _MOST_PARTS + 1))
        except OSError as error:
            raise HostingError(f"{self}: {error.strerror or error}") from error
        except ValueError as error:
            # No system call takes it.
            raise HostingError(f"{self}: the name has a NUL character in it") from error
        if len(content) > _MAX_BYTES:
            raise HostingError(f"{self} is larger than {_MAX_BYTES >> 20} MiB")
        return content


class Loaded(Protocol):
    """What files hold, once understood."""

    def describe(self) -> str:
        """What it is, after "in use: "."""

    def warning(self) -> str | None:
        """What somebody should do something about soon; None for nothing."""


T = TypeVar("T", bound=Loaded)


class Reloading(Generic[T]):
    """The last good content of some files. `value` may be read by any thread, at any time."""

    def __init__(self, sources: Sequence[WatchedFile], parse: Callable[[Sequence[bytes]], T]) -> None:
        """Read them once; raises HostingError when they can't be read or understood.

        `parse` understands what they hold, in their order, or raises HostingError with a text that
        doesn't change while they don't.
        """
        self._sources = sources
        self._parse = parse
        self._contents = self._read()
        self._problem: str | None = None
        self._warned: str | None = None
        self.value = parse(self._contents)

    def start(self) -> None:
        """Look at them every second from now on, for as long as the process lives."""
        threading.Thread(target=self._run, name="reloading", daemon=True).start()

    def look(self) -> None:
        """Take what the files hold now, if that is new and good; else log, once, why not."""
        try:
            contents = self._read()
            if contents != self._contents:
                self.value = self._parse(contents)
                self._contents = contents
                _log.info("%s changed; in use: %s", self, self.value.describe())
            self._problem = None
        except HostingError as error:
            # Looked at again each time: what isn't valid yet is so a little later.
            if str(error) != self._problem:
                self._problem = str(error)
                _log.error("%s; still in use: %s", error, self.value.describe())
        warning = self.value.warning()
        if warning is not None and warning != self._warned:
            _log.warning("%s", warning)
        self._warned = warning

    def __str__(self) -> str:
        return ", ".join(map(str, self._sources))

    def _read(self) -> list[bytes]:
        return [source.read() for source in self._sources]

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                # Nobody would start this thread again.
                _log.exception("looking at %s failed", self)
            time.sleep(_LOOK_SECONDS)
