"""Does the regular work of the service: starts scheduled retrainings and deletes old versions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightfm_retriever.publication.errors import PublicationError
from trainer.errors import TrainerError
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import Run, State
from trainer.service.schedule import PREFIX, Schedule, request_id
from trainer.spec import TrainingSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retraining:
    """Queues a training run at each occasion of the schedules, unless a scheduled run is unfinished."""

    scheduler: Scheduler
    spec: TrainingSpec
    schedules: Sequence[Schedule]
    clock: Callable[[], float] = time.time

    def __call__(self) -> None:
        """Queue a training run if one is due. Raises TrainerError."""
        for schedule in self.schedules:
            occasion = schedule(self.clock())
            if occasion is None or self._latest(PREFIX, "QUEUED") or self._latest(PREFIX, "RUNNING"):
                continue
            latest = self._latest(PREFIX + occasion.partition(" ")[0])
            used = request_id(occasion, self.spec)
            if latest is not None and latest.request_id.startswith(used):
                continue
            # The number makes the request id new if an earlier input comes back after another one.
            after = 0 if latest is None else latest.number
            run = self.scheduler.submit(self.spec, request_id=f"{used}:{after}")
            _log.info("training run %s: queued for %s", run.id, occasion)

    def _latest(self, prefix: str, state: State | None = None) -> Run | None:
        """Return the latest training run whose request id begins with the prefix."""
        for run in self.scheduler.page(size=1000, state=state):
            if isinstance(run, Run) and run.request_id.startswith(prefix):
                return run
        return None


class Maintenance:
    """Calls its tasks at intervals on its own thread. A task that fails runs again next time."""

    def __init__(self, tasks: Sequence[Callable[[], None]], *, every_seconds: float) -> None:
        self._tasks = tasks
        self._every_seconds = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="maintenance", daemon=True)

    def start(self) -> None:
        """Start the thread, which calls the tasks for the first time at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after the task that runs now, if any."""
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
                    # Log a problem that lasts for hours once, not every minute.
                    if told.get(number) != str(error):
                        expected = isinstance(error, TrainerError | PublicationError | OSError)
                        _log.error("maintenance: %s", error, exc_info=None if expected else error)
                        told[number] = str(error)
            if self._stopped.wait(self._every_seconds):
                return
