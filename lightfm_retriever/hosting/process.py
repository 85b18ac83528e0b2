"""System functions for processes: their end, memory, priority and threads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals of a terminal or a supervisor. The parent handles them; its children ignore them."""

# Calls already share the cores, so more threads for a matrix product would only disturb. And a process
# without enough memory for such threads crashes at its start.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Environment variables of processes that read versions. The operator's own values have priority."""

_PR_SET_PDEATHSIG = 1
_LEAST_PRIORITY = 19
# The option's number in glibc's malloc.h, and its value: blocks of this size get their own mapping.
_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies. Raises SystemExit if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the process that started this one has ended already")


class Awaited:
    """Whether the result of a thread is still wanted. Threads may share it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        # When it was cancelled, by the clock; None while the result is wanted.
        self.ended_at: float | None = None
        self._clock = clock
        self._end: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        return self.ended_at is None

    def end(self) -> None:
        """Cancel: the result isn't wanted any more, and the process of `kills` is killed."""
        with self._lock:
            if self.ended_at is None:
                self.ended_at = self._clock()
            if self._end is not None:
                self._end()

    @contextlib.contextmanager
    def kills(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kill a process on `end` or when the block fails. The block waits for the process to end."""
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
    """Start a process within this block, so that signals of a terminal to the group don't end it.

    The process starts with these signals blocked. It may unblock them after it has set its handlers.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pss_bytes(pid: int | str = "self") -> int:
    """Return the proportional set size in bytes: a page of n processes counts 1/n. 0 if unknown."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def make_way() -> None:
    """Give this thread, and the threads that it starts, the lowest CPU priority.

    On Linux each thread has its own priority. Don't use it for threads that hold the GIL of a process
    that answers calls: a thread that waits for the CPU would keep the GIL.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_PRIORITY)


def start_all(pool: ThreadPoolExecutor, count: int) -> list[threading.Thread]:
    """Start all `count` threads of a new pool at once, and return them.

    Without this a pool starts a thread only when a task finds none free. A process that runs out of
    memory may then fail to start a thread, or wait forever for one that died before it ran. So threads
    that calls depend on start with the process, where a failure is noticed. The pool must not have run
    a task yet.
    """
    threads: list[threading.Thread] = []
    together = threading.Barrier(count + 1)

    def wait() -> None:
        threads.append(threading.current_thread())
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait()

    try:
        for _ in range(count):
            ThreadPoolExecutor.submit(pool, wait)
        together.wait()
    except BaseException:
        # Otherwise the threads that have started would wait forever, and block the end of the process.
        together.abort()
        raise
    return threads


def release_heap() -> None:
    """Return freed memory to the system now, and large blocks from now on as soon as they are freed.

    The C library (glibc) keeps freed memory for reuse. It keeps nearly all memory of many small
    allocations, such as those while an id map is built. After some large blocks were freed, it also
    keeps blocks of up to 32 MB for each thread. With other C libraries this function does nothing.
    """
    # Other C libraries, such as musl, don't have these functions.
    with contextlib.suppress(AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.malloc_trim(0)
