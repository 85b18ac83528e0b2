"""Defines the events that a training run's process writes for the service: one JSON object a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import msgspec

from trainer.progress import Advance
from trainer.promotion.gates import GateResult

_EVERY_SECONDS = 0.1


class Progress(msgspec.Struct, tag=True, frozen=True):
    """Progress of a stage; `total` is 0 when it is unknown."""

    stage: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


class Metrics(msgspec.Struct, tag=True, frozen=True):
    """New metrics by name; None for a metric that isn't finite."""

    metrics: dict[str, float | None]


class Finished(msgspec.Struct, tag=True, frozen=True):
    """The process published a version. The service moves the label afterwards."""

    version: str
    passed: bool
    metrics: dict[str, float | None]
    gates: list[GateResult]
    warnings: list[str]
    seconds: dict[str, float]
    # The label's version (or None) at the time of the comparison, in a list; empty without comparison.
    expected: list[str | None] = []


class RunFailed(msgspec.Struct, tag=True, frozen=True):
    """The training run failed."""

    error: str


Event = Progress | Metrics | Finished | RunFailed
_DECODER = msgspec.json.Decoder(Event)


def decode(line: bytes) -> Event:
    """Parse a line as an event. Raises msgspec.MsgspecError."""
    event: Event = _DECODER.decode(line)
    return event


class EventWriter:
    """Writes events to a file. It is also the pipeline's Reporter."""

    def __init__(self, file: IO[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock

    def write(self, event: Event) -> None:
        """Write one event now."""
        self._file.write(msgspec.json.encode(event) + b"\n")
        self._file.flush()

    def stage(self, name: str) -> None:
        """See Reporter."""
        self.write(Progress(name))

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """See Reporter."""
        self.write(Metrics(dict(metrics)))

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        """See Reporter. Writes at most ten events a second, and one at the end."""
        began = told = self._clock()
        done = 0
        self.write(Progress(name, 0, total))

        def advance(parts: int) -> None:
            nonlocal done, told
            done += parts
            now = self._clock()
            if now - told >= _EVERY_SECONDS or done >= total:
                told = now
                left = (now - began) / done * max(0, total - done) if done else None
                self.write(Progress(name, done, total, left))

        yield advance
