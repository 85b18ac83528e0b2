"""Schedules retraining: at intervals, by a cron expression, or when the input changed.

Each occasion has a name, and the request id of its run begins with that name. So one occasion never
starts two runs in a row, even if the service restarts in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from trainer import spec as training_spec
from trainer.errors import OptionError
from trainer.spec import TrainingSpec

PREFIX = "schedule:"


Schedule = Callable[[float], str | None]
"""Returns the name of the occasion that is due at a time (seconds since the epoch), or None."""


def every(seconds: float) -> Schedule:
    """Schedule an occasion every `seconds`, counted from the epoch. The first is at once."""
    return lambda now: f"every {seconds:g} s, {int(now // seconds)}"


def changed(fingerprint: Callable[[], str]) -> Schedule:
    """Schedule an occasion when the input's fingerprint changes. Raises what `fingerprint` raises."""
    return lambda _: f"input {fingerprint()[:32]}"


class Cron:
    """Schedules an occasion at each time of a cron expression, in UTC, from `now` on."""

    def __init__(self, expression: str, *, now: float) -> None:
        self._latest: datetime | None = None
        try:
            self._times = CronSim(expression, datetime.fromtimestamp(now, UTC))
            self._next = next(self._times)
        except (CronSimError, StopIteration) as error:
            raise OptionError(
                "--retrain-cron", expression, f"five fields of cron, such as '0 3 * * *': {error}"
            ) from error

    def __call__(self, now: float) -> str | None:
        """Return the name of the last time that has passed; skips the times before it."""
        while self._next.timestamp() <= now:
            self._latest = self._next
            self._next = next(self._times)
        return None if self._latest is None else f"cron {self._latest.isoformat()}"


def request_id(occasion: str, spec: TrainingSpec) -> str:
    """Return the request id of an occasion's training run. Each spec has its own."""
    digest = hashlib.sha256(training_spec.encode(spec).encode()).hexdigest()[:16]
    return f"{PREFIX}{occasion}:{digest}"
