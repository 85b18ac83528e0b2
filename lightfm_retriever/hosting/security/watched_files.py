"""Read values from files, and read them again whenever the files change.

A thread reads the files every second, so that no call and no connection waits for a file. It compares
their contents. So it doesn't matter whether a file was replaced, linked again (as Kubernetes does) or
written in place, and the clock of the file system doesn't matter either.
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
    """A file, and the flag that names it. A file that is read `once` may be a pipe of a shell."""

    flag: str
    path: Path
    once: bool = False

    def __str__(self) -> str:
        return f"{self.flag} {self.path}"

    def read(self) -> bytes:
        """Return the content of the file. Raises HostingError."""
        try:
            with (open_given if self.once else open_regular)(self.path) as file:
                # In parts: reading the largest size at once would allocate that memory every second.
                content = b"".join(islice(iter(partial(file.read, _PART_BYTES), b""), _MOST_PARTS + 1))
        except OSError as error:
            raise HostingError(f"{self}: {error.strerror or error}") from error
        except ValueError as error:
            # No system call accepts such a name.
            raise HostingError(f"{self}: the name contains a NUL character") from error
        if len(content) > _MAX_BYTES:
            raise HostingError(f"{self} is larger than {_MAX_BYTES >> 20} MiB")
        return content


class Loaded(Protocol):
    """The parsed content of files."""

    def describe(self) -> str:
        """Describe the content, for a log line after "in use: "."""

    def warning(self) -> str | None:
        """Return a warning that an operator should act on soon; None for none."""


T = TypeVar("T", bound=Loaded)


class Reloading(Generic[T]):
    """The last valid content of some files. Any thread may read `value` at any time."""

    def __init__(self, sources: Sequence[WatchedFile], parse: Callable[[Sequence[bytes]], T]) -> None:
        """Read the files for the first time. Raises HostingError if they can't be read or parsed.

        `parse` parses the contents, in the order of the files. It may raise HostingError, with the same
        text as long as the files don't change.
        """
        self._sources = sources
        self._parse = parse
        self._contents = self._read()
        self._problem: str | None = None
        self._warned: str | None = None
        self.value = parse(self._contents)

    def start(self) -> None:
        """Read the files every second until the process ends."""
        threading.Thread(target=self._run, name="reloading", daemon=True).start()

    def look(self) -> None:
        """Use the current content of the files if it is new and valid; else log once why not."""
        try:
            contents = self._read()
            if contents != self._contents:
                self.value = self._parse(contents)
                self._contents = contents
                _log.info("%s changed; in use: %s", self, self.value.describe())
            self._problem = None
        except HostingError as error:
            # Parse it again each time: a certificate that isn't valid yet becomes valid later.
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
                # If this thread ended, changes would not be noticed any more.
                _log.exception("couldn't check %s for changes", self)
            time.sleep(_LOOK_SECONDS)
