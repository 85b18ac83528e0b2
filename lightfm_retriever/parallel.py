"""Work in parallel, on as many threads as there is memory for."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

_Part = TypeVar("_Part")


def for_each(call: Callable[[_Part], object], parts: Iterable[_Part], *, threads: int) -> None:
    """Call a function for each part, on at most `threads` threads, in the order of the parts.

    The calling thread works too, and doesn't wait for other threads to start. So without enough memory
    or threads this is slower, but never hangs. (CPython's own way to start a thread waits forever if
    the thread dies before it runs.)

    After a call failed, no other is started. Raises the error of the first part that failed.
    """
    todo = deque(enumerate(parts))
    changed = threading.Condition()
    running = 0
    failed: list[tuple[int, BaseException]] = []

    def work() -> None:
        nonlocal running
        while True:
            with changed:
                if not todo or failed:
                    return
                number, part = todo.popleft()
                running += 1
            try:
                call(part)
            except BaseException as error:  # raised below, by the calling thread
                failed.append((number, error))
            with changed:
                running -= 1
                changed.notify_all()

    for _ in range(min(threads, len(todo)) - 1):
        try:
            _thread.start_new_thread(work, ())
        except (RuntimeError, MemoryError):
            break
    work()
    with changed:
        changed.wait_for(lambda: not running)
    if failed:
        raise min(failed, key=lambda own: own[0])[1]
