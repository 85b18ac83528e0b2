"""How long the stages of a run take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from publication.writer import Clock, utc_now


class Timings:
    """Seconds by stage, and when it all began."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.started_at = clock()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add a stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 6)
