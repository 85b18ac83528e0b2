"""The access log: a line for each call, when it ends.

Calls wait for nobody here: quick ones are answered on gRPC's own thread, where a full pipe at standard
error would hold up all others. So a thread of its own writes the lines, and what doesn't fit its queue
is dropped and counted. (logging's QueueHandler would make a record and wake that thread at each call.)
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from lightfm_retriever.hosting.observing.log_format import LineFormat, Said
from lightfm_retriever.hosting.observing.spans import Attributes

_LOGGER = "access"
# Lines that may wait.
_MOST = 10_000
# Lines that come within this time are written together.
_GATHER_SECONDS = 0.1
_STANDARD_ERROR = 2


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_STANDARD_ERROR, data) :]


class AccessLog:
    """Takes calls and writes their lines, until it is closed.

    Args:
        lines: how a line looks.
        write: writes some lines, of at most PIPE_BUF bytes together unless one alone is longer; may
            block, and may raise OSError, after which they are lost.
    """

    def __init__(self, lines: LineFormat, *, write: Callable[[bytes], None] = _write) -> None:
        self._lines = lines
        self._write = write
        self._calls: deque[tuple[float, Attributes]] = deque()
        self._come = threading.Event()
        self._closed = threading.Event()
        self._dropped = 0
        self._dropping = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="access log", daemon=True)
        self._thread.start()

    def add(self, fields: Attributes) -> None:
        """Take a call that ended now; never waits."""
        if len(self._calls) >= _MOST:
            with self._dropping:
                self._dropped += 1
            return
        self._calls.append((time.time(), fields))
        if not self._come.is_set():
            self._come.set()

    def close(self, seconds: float) -> None:
        """Write what waits, for at most so long."""
        self._closed.set()
        self._come.set()
        self._thread.join(seconds)

    def _work(self) -> None:
        while not self._closed.is_set():
            self._come.wait()
            self._closed.wait(_GATHER_SECONDS)
            self._come.clear()
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        together: list[bytes] = []
        size = 0
        for line in self._waiting_lines():
            # The kernel writes so many bytes of a process in one piece: lines of several never mix.
            if together and size + len(line) > select.PIPE_BUF:
                self._try_to_write(together)
                together, size = [], 0
            together.append(line)
            size += len(line)
        if together:
            self._try_to_write(together)

    def _waiting_lines(self) -> Iterator[bytes]:
        # No more than there are now, or a busy service would never get to the end of this.
        for _ in range(len(self._calls)):
            created, fields = self._calls.popleft()
            yield self._encoded(created, "INFO", "call", fields)
        with self._dropping:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            text = "lines of the access log are lost: whoever reads standard error is too slow"
            yield self._encoded(time.time(), "WARNING", text, {"lines": dropped})

    def _encoded(self, created: float, level: str, message: str, fields: Attributes) -> bytes:
        line = self._lines(Said(created, level, _LOGGER, message, fields))
        return line.encode("utf-8", "backslashreplace") + b"\n"

    def _try_to_write(self, lines: list[bytes]) -> None:
        try:
            self._write(b"".join(lines))
        except OSError:
            # Nobody reads, or the disk is full.
            with self._dropping:
                self._dropped += len(lines)
