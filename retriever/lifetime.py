"""Processes that don't outlive the one that started them, and leave signals to it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

from retriever import control

# Calls share the cores already; threads of a matrix product only get in each other's way. And a process
# that lacks the memory for them crashes before it has done anything.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""What processes that read versions are given, unless the operator sets it."""

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however stuck this one is then."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before it was asked for.
        os._exit(1)


class Wanted:
    """Whether somebody still waits for what a thread does. Safe for threads.

    Attributes:
        ended_at: since when nobody does, by the clock; None while somebody does.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ended_at: float | None = None
        self._clock = clock
        self._end: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        return self.ended_at is None

    def end(self) -> None:
        """From now on nobody waits: what `kills` is killed."""
        with self._lock:
            if self.ended_at is None:
                self.ended_at = self._clock()
            if self._end is not None:
                self._end()

    @contextlib.contextmanager
    def kills(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kill a process when this ends or the block fails; the block ends when it is gone."""
        with process:
            try:
                with self._lock:
                    self._end = process.kill
                    if not self():
                        process.kill()
                yield
            except BaseException:
                self.end()
                raise
            finally:
                with self._lock:
                    self._end = None


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a process within this: what a terminal sends to the whole group doesn't end it.

    It begins with the parent's signals held back, and may let them come when it ignores them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, control.PARENTS_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
