"""The events that the parent waits for: messages of workers, timers, signals and other threads."""

from __future__ import annotations

import contextlib
import sched
import selectors
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

from lightfm_retriever.hosting.process import STOPPING
from retriever.parent.worker_process import WorkerProcess


class Events:
    """The events of one waiting thread. Other threads may call `wake_up` only.

    Attributes:
        signals: numbers of the signals that arrived and aren't handled yet, in order of arrival.
    """

    def __init__(self) -> None:
        self.signals: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._timers = sched.scheduler(time.monotonic)
        self._wake_end, self._wake = socket.socketpair()
        self._wake_end.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._wake_end, selectors.EVENT_READ, None)

    def wait(self) -> list[WorkerProcess]:
        """Wait for an event or a due timer. Returns the workers that have sent something."""
        timers = self._timers.queue
        timeout = max(0.0, timers[0].time - time.monotonic()) if timers else None
        ready = [key.data for key, _ in self._selector.select(timeout)]
        if None in ready:
            with contextlib.suppress(BlockingIOError):
                while self._wake_end.recv(4096):
                    pass
        return [worker for worker in ready if worker is not None]

    def listen_to(self, worker: WorkerProcess) -> None:
        """Wait for the messages of a worker that was just started."""
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)  # type: ignore[arg-type]

    def forget(self, worker: WorkerProcess) -> None:
        """Stop waiting for a worker. Call it before its connection is closed."""
        self._selector.unregister(worker.connection)  # type: ignore[arg-type]

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Let `run_timers` call a function after some seconds."""
        self._timers.enter(seconds, 0, call)

    def run_timers(self) -> None:
        """Call the functions that are due."""
        self._timers.run(blocking=False)

    def drop_timers(self) -> None:
        """Cancel all timers."""
        for timer in self._timers.queue:
            self._timers.cancel(timer)

    def catch_signals(self) -> None:
        """Note signals from now on. A signal ends `wait`, even if it arrives before the call."""

        def note(number: int, _: FrameType | None) -> None:
            self.signals.append(number)

        for number in STOPPING:
            signal.signal(number, note)
        # Without this, a signal that arrives just before select() would wait for the next event.
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)

    def wake_up(self) -> None:
        """Make `wait` return."""
        with contextlib.suppress(BlockingIOError):
            self._wake.send(b"\0")
