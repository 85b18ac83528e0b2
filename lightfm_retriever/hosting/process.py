"""What a process asks of its system: its end, its memory, its priority, its threads."""

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
"""What a terminal or a supervisor sends: a parent deals with it, and its children leave it to that."""

# Calls share the cores already; threads of a matrix product only get in each other's way. And a process
# that lacks the memory for them crashes before it has done anything.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Variables of processes that read versions, unless the operator sets them."""

_PR_SET_PDEATHSIG = 1
_LEAST_PRIORITY = 19
# Its number in glibc's malloc.h, and bytes: what is as large or larger is a mapping of its own.
_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; raises SystemExit if it has already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the process that started this one has ended already")


class Awaited:
    """Whether somebody still waits for what a thread does. Safe for threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        # Since when nobody does, by the clock; None while somebody does.
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
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pss_bytes(pid: int | str = "self") -> int:
    """Proportional set size in bytes: a page that n processes map counts 1/n; 0 where unknown."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def make_way() -> None:
    """Let this thread, and those that it starts, have only the CPU time that no call wants.

    On Linux each thread has a priority of its own. Not for threads that hold the GIL of a process that
    answers calls: one that has to wait for the CPU would keep it.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_PRIORITY)


def start_all(pool: ThreadPoolExecutor, count: int) -> list[threading.Thread]:
    """Start all threads of a new pool, rather than each with the first task that finds none free.

    A process that runs out of memory may fail to start a thread, or wait for ever for one that died
    before it ran. So what calls depend on begins with the process, where a failure is seen.

    Returns the threads, `count` of them, of a pool that has had no task yet.
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
        # Those that have begun would wait for the others for ever, and the process's end for them.
        together.abort()
        raise
    return threads


def release_heap() -> None:
    """Give freed memory back to the system, and from now on large blocks as soon as they are freed.

    The C library (glibc) keeps what may be wanted again: nearly all of what many small allocations
    took, such as those of an id map in the making, and after some large blocks were freed also others
    of up to 32 MB, for each thread. With any other library this does nothing.
    """
    # Another C library, such as musl, has no such functions.
    with contextlib.suppress(AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.malloc_trim(0)
