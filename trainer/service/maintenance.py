"""What the service does by itself: trains again when it is time, and removes old versions."""

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
    """Queues a run at each occasion of the schedules, unless one of theirs hasn't ended yet."""

    scheduler: Scheduler
    spec: TrainingSpec
    schedules: Sequence[Schedule]
    clock: Callable[[], float] = time.time

    def __call__(self) -> None:
        """Look whether it is time. Raises TrainerError."""
        for schedule in self.schedules:
            occasion = schedule(self.clock())
            if occasion is None or self._latest(PREFIX, "QUEUED") or self._latest(PREFIX, "RUNNING"):
                continue
            latest = self._latest(PREFIX + occasion.partition(" ")[0])
            used = request_id(occasion, self.spec)
            if latest is not None and latest.request_id.startswith(used):
                continue
            # An input that comes back after another one is trained on again.
            after = 0 if latest is None else latest.number
            run = self.scheduler.submit(self.spec, request_id=f"{used}:{after}")
            _log.info("training run %s: for %s", run.id, occasion)

    def _latest(self, prefix: str, state: State | None = None) -> Run | None:
        """The latest run whose request id begins so."""
        for run in self.scheduler.page(size=1000, state=state):
            if isinstance(run, Run) and run.request_id.startswith(prefix):
                return run
        return None


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
