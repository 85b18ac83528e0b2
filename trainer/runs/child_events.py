"""What the process of a training run tells the service: one JSON object a line."""

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
    """A stage and how much of it is done; total is 0 when that isn't known."""

    stage: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


class Metrics(msgspec.Struct, tag=True, frozen=True):
    """Metrics that became known; None for what isn't finite."""

    metrics: dict[str, float | None]


class Finished(msgspec.Struct, tag=True, frozen=True):
    """A version was published. Its label isn't moved: that is left to the service."""

    version: str
    passed: bool
    metrics: dict[str, float | None]
    gates: list[GateResult]
    warnings: list[str]
    seconds: dict[str, float]
    # What the label named when the version was compared with it, in a list; empty for no comparison.
    expected: list[str | None] = []


class RunFailed(msgspec.Struct, tag=True, frozen=True):
    """It came to nothing."""

    error: str


Event = Progress | Metrics | Finished | RunFailed
_DECODER = msgspec.json.Decoder(Event)


def decode(line: bytes) -> Event:
    """The event of a line; raises msgspec.MsgspecError."""
    event: Event = _DECODER.decode(line)
    return event


class EventWriter:
    """Writes events; also a Reporter, for the pipeline."""

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
        """See Reporter; at most ten events a second, and one at the end."""
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
