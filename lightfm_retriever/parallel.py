"""Work on several things at once, on as many threads as there is memory for."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

_Part = TypeVar("_Part")


def for_each(call: Callable[[_Part], object], parts: Iterable[_Part], *, threads: int) -> None:
    """Call for each part, on at most so many threads at a time; the first parts are begun first.

    This thread calls, too, and no other is waited for before it works. So a lack of memory or of
    threads makes it slower, and never hangs: CPython's own start of a thread waits for ever for one
    that died before it ran.

    Raises what the first of the parts raised that failed. Once one has, no other is begun.
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
            except BaseException as error:  # raised below, by the thread that waits
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
