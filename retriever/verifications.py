"""Verifying versions on threads of their own, since it may take long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from retriever.priority import make_way


class Verifications:
    """Called on one thread.

    Args:
        verify: checks a version; may raise anything.
        wake_up: called on another thread when there is a result.
    """

    def __init__(self, verify: Callable[[str], object], wake_up: Callable[[], None]) -> None:
        self._verify = verify
        self._wake_up = wake_up
        self._results: SimpleQueue[tuple[str, Exception | None]] = SimpleQueue()

    def begin(self, version: str) -> None:
        """Verify a version."""

        def verify() -> None:
            make_way()
            problem: Exception | None = None
            try:
                self._verify(version)
            except Exception as error:
                problem = error
            self._results.put((version, problem))
            self._wake_up()

        threading.Thread(target=verify, name="verify", daemon=True).start()

    def results(self) -> list[tuple[str, Exception | None]]:
        """The versions whose verifications ended since, and what was wrong with each."""
        results = []
        while not self._results.empty():
            results.append(self._results.get())
        return results
