"""Work on several things at once, on as many threads as there is memory for."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

_Part = TypeVar("_Part")


def for_each(call: Callable[[_Part], object], parts: Iterable[_Part], *, threads: int) -> None:
    """Call for each part, some at a time; the first parts are begun first.

    This thread calls, too, and no other is waited for before it works. So a lack of memory or of
    threads makes it slower, and never hangs: CPython's own start of a thread waits for ever for one
    that died before it ran.

    Args:
        call: is called with a part, on any of the threads.
        parts: in the order in which they are begun.
        threads: how many call at once at most.

    Raises:
        Exception: what the first of the parts raised that failed. Once one has, no other is begun.
    """
    work = _Work(call, parts)
    for _ in range(min(threads, len(work.parts)) - 1):
        try:
            _thread.start_new_thread(work.run, ())
        except (RuntimeError, MemoryError):
            break
    work.run()
    work.wait()


class _Work(Generic[_Part]):
    """Parts that are still to be called for, and how those did that were."""

    def __init__(self, call: Callable[[_Part], object], parts: Iterable[_Part]) -> None:
        self.parts = deque(enumerate(parts))
        self._call = call
        self._running = 0
        self._changed = threading.Condition()
        self._failed: list[tuple[int, BaseException]] = []

    def run(self) -> None:
        """Call until there is nothing left to be begun."""
        while True:
            with self._changed:
                if not self.parts or self._failed:
                    return
                number, part = self.parts.popleft()
                self._running += 1
            failure: BaseException | None = None
            try:
                self._call(part)
            except BaseException as error:  # `wait` raises it
                failure = error
            with self._changed:
                if failure is not None:
                    self._failed.append((number, failure))
                self._running -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait for those that other threads have begun; raises what the first that failed raised."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running)
        if self._failed:
            raise min(self._failed, key=lambda own: own[0])[1]
