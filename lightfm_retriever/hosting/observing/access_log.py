"""The access log: one line for each call, written when the call ends.

Calls never wait for the log. Quick calls are answered on gRPC's own thread, where a full pipe at
standard error would block all others. So a separate thread writes the lines. Lines that don't fit into
its queue are dropped and counted. (logging's QueueHandler would make a record and wake that thread for
each call.)
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
# The largest number of waiting lines.
_MOST = 10_000
# Lines of this time are written together.
_GATHER_SECONDS = 0.1
_STANDARD_ERROR = 2


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_STANDARD_ERROR, data) :]


class AccessLog:
    """Write a line for each call until the log is closed.

    Args:
        lines: formats a line.
        write: writes some lines, of at most PIPE_BUF bytes together unless one line is longer. It may
            block. If it raises OSError, the lines are lost.
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
        """Add a call that has just ended, without waiting."""
        if len(self._calls) >= _MOST:
            with self._dropping:
                self._dropped += 1
            return
        self._calls.append((time.time(), fields))
        if not self._come.is_set():
            self._come.set()

    def close(self, seconds: float) -> None:
        """Write the waiting lines, for at most this time."""
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
            # The kernel writes up to PIPE_BUF bytes in one piece, so lines of several processes don't
            # mix.
            if together and size + len(line) > select.PIPE_BUF:
                self._try_to_write(together)
                together, size = [], 0
            together.append(line)
            size += len(line)
        if together:
            self._try_to_write(together)

    def _waiting_lines(self) -> Iterator[bytes]:
        # Only the lines that wait now: on a busy service the queue may never be empty.
        for _ in range(len(self._calls)):
            created, fields = self._calls.popleft()
            yield self._encoded(created, "INFO", "call", fields)
        with self._dropping:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            text = "lines of the access log were lost, because the reader of standard error is too slow"
            yield self._encoded(time.time(), "WARNING", text, {"lines": dropped})

    def _encoded(self, created: float, level: str, message: str, fields: Attributes) -> bytes:
        line = self._lines(Said(created, level, _LOGGER, message, fields))
        return line.encode("utf-8", "backslashreplace") + b"\n"

    def _try_to_write(self, lines: list[bytes]) -> None:
        try:
            self._write(b"".join(lines))
        except OSError:
            # The reader has gone, or the disk is full.
            with self._dropping:
                self._dropped += len(lines)
