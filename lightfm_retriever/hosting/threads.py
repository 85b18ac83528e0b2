"""Threads that are there before they are needed."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor


def start_all(pool: ThreadPoolExecutor, count: int) -> list[threading.Thread]:
    """Start all threads of a new pool, rather than each with the first task that finds none free.

    A process that runs out of memory may fail to start a thread, or wait for ever for one that died
    before it ran. So what calls depend on begins with the process, where a failure is seen.

    Args:
        pool: without any thread or task yet.
        count: how many threads it may have.

    Returns:
        The threads.
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
