"""Measure how long the stages of a run take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from lightfm_retriever.hosting.observing.spans import span
from lightfm_retriever.publication.writer import Clock, utc_now

STAGES = (
    *("read", "dataset", "select", "validate", "fit", "evaluate"),
    *("index", "publish", "verify", "gates", "upload"),
)
"""The stages of a run, in the order in which they happen."""


def in_order(seconds: Mapping[str, float]) -> dict[str, float]:
    """Sort seconds by stage in the order of stages; unknown stages of another release come last."""
    known = {name: seconds[name] for name in STAGES if name in seconds}
    return known | {name: seconds[name] for name in sorted(seconds.keys() - known.keys())}


class Timings:
    """The id and the start of a run, and its seconds by stage."""

    def __init__(
        self,
        clock: Clock = utc_now,
        *,
        on_stage: Callable[[str], None] = lambda _: None,
        run_id: str | None = None,
    ) -> None:
        """Begin a run; without `run_id` its id is made from the time.

        `on_stage` is called with the name of each stage as it begins.
        """
        self.clock = clock
        self._on_stage = on_stage
        self.started_at = clock()
        self.run_id = run_id or f"cli-{self.started_at:%Y%m%dT%H%M%S.%fZ}"
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage, the block."""
        self._on_stage(name)
        started = time.perf_counter()
        with span(name):
            yield
        self.seconds[name] = round(time.perf_counter() - started, 6)
