"""The workers that were told to change over to a version, and when each did."""

from __future__ import annotations

from collections.abc import Iterable


class Changeover:
    """One at a time; times are of time.monotonic()."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()
        self._times: list[float] = []

    def begin(self, workers: Iterable[int]) -> None:
        """Wait for these workers, by their numbers."""
        self._waiting = {*workers}
        self._times = []

    def done(self, worker: int, at: float | None) -> tuple[float, float] | None:
        """Take in that a worker changed over, or with None that it never will.

        Returns:
            When the first and the last of all changed over; None while some haven't, or none did.
        """
        if worker not in self._waiting:
            return None
        self._waiting.discard(worker)
        if at is not None:
            self._times.append(at)
        return None if self._waiting or not self._times else (min(self._times), max(self._times))
