"""What the parent waits for: connections, timers, signals, and other threads that have news."""

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
    """All of them, for one thread that waits; only `wake_up` may be called by others.

    Attributes:
        signals: numbers of those that came and aren't handled yet, the first first.
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
        """Until something happens or a timer is due; returns the workers that there is to hear from."""
        timers = self._timers.queue
        timeout = max(0.0, timers[0].time - time.monotonic()) if timers else None
        ready = [key.data for key, _ in self._selector.select(timeout)]
        if None in ready:
            with contextlib.suppress(BlockingIOError):
                while self._wake_end.recv(4096):
                    pass
        return [worker for worker in ready if worker is not None]

    def listen_to(self, worker: WorkerProcess) -> None:
        """Wait for what a worker says, which has just been started."""
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)  # type: ignore[arg-type]

    def forget(self, worker: WorkerProcess) -> None:
        """Don't wait for it any more; before its connection is closed."""
        self._selector.unregister(worker.connection)  # type: ignore[arg-type]

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Let `run_timers` call it when so much time is over."""
        self._timers.enter(seconds, 0, call)

    def run_timers(self) -> None:
        """Call what is due."""
        self._timers.run(blocking=False)

    def drop_timers(self) -> None:
        """Call none of those that there are."""
        for timer in self._timers.queue:
            self._timers.cancel(timer)

    def catch_signals(self) -> None:
        """From now on a signal is noted, and ends `wait`, also one that comes before it."""

        def note(number: int, _: FrameType | None) -> None:
            self.signals.append(number)

        for number in STOPPING:
            signal.signal(number, note)
        # Without this a signal that comes just before select() would wait for the next event.
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)

    def wake_up(self) -> None:
        """Make `wait` return."""
        with contextlib.suppress(BlockingIOError):
            self._wake.send(b"\0")
