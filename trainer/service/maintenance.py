"""What the service does by itself: trains again when it is time, and removes old versions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from lightfm_retriever.publication.errors import PublicationError
from trainer.errors import TrainerError
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import DamagedRun, Run
from trainer.service.schedule import PREFIX, Schedule, request_id
from trainer.spec import TrainingSpec

_log = logging.getLogger(__name__)


class Retraining:
    """Queues a run at each occasion of the schedules, unless one of theirs hasn't ended yet."""

    def __init__(
        self,
        scheduler: Scheduler,
        spec: TrainingSpec,
        schedules: Sequence[Schedule],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scheduler = scheduler
        self._spec = spec
        self._schedules = schedules
        self._clock = clock

    def __call__(self) -> None:
        """Look whether it is time. Raises TrainerError."""
        for schedule in self._schedules:
            occasion = schedule.occasion(self._clock())
            if occasion is None or self._busy():
                continue
            used, latest = request_id(occasion, self._spec), self._latest(occasion)
            if latest is not None and latest.request_id.startswith(used):
                continue
            # An input that comes back after another one is trained on again.
            after = 0 if latest is None else latest.number
            run = self._scheduler.submit(self._spec, request_id=f"{used}:{after}")
            _log.info("training run %s: for %s", run.id, occasion)

    def _latest(self, occasion: str) -> Run | None:
        """The latest run for an occasion of the same kind."""
        kind = PREFIX + occasion.partition(" ")[0]
        runs = _readable(self._scheduler.page(size=1000))
        return next((run for run in runs if run.request_id.startswith(kind)), None)

    def _busy(self) -> bool:
        return any(
            run.request_id.startswith(PREFIX)
            for state in ("QUEUED", "RUNNING")
            for run in _readable(self._scheduler.page(size=1000, state=state))
        )


def _readable(runs: Sequence[Run | DamagedRun]) -> Iterator[Run]:
    return (run for run in runs if isinstance(run, Run))


class Maintenance:
    """Calls its tasks at intervals, on a thread of its own; a task that fails is tried again."""

    def __init__(self, tasks: Sequence[Callable[[], None]], *, every_seconds: float) -> None:
        self._tasks = tasks
        self._every_seconds = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="maintenance", daemon=True)

    def start(self) -> None:
        """Begin; the first time at once."""
        self._thread.start()

    def stop(self) -> None:
        """Return when the task that runs now, if any, is done."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        told: dict[int, str] = {}
        while True:
            for number, task in enumerate(self._tasks):
                try:
                    task()
                    told.pop(number, None)
                except Exception as error:
                    # A volume that is away for hours isn't worth a line a minute.
                    if told.get(number) != str(error):
                        expected = isinstance(error, TrainerError | PublicationError | OSError)
                        _log.error("maintenance: %s", error, exc_info=None if expected else error)
                        told[number] = str(error)
            if self._stopped.wait(self._every_seconds):
                return
