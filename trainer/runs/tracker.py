"""Sends each training run of the service that ends to MLflow, on a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from lightfm_retriever.hosting import words
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.volume import Volume
from trainer.errors import StateError
from trainer.notes import NOTE
from trainer.runs.run import Run, State
from trainer.runs.store import RunStore
from trainer.tracking.options import TrackingOptions
from trainer.tracking.sending import Delivery, send
from trainer.tracking.tracked_run import EndedRun, Status, describe

_LOOK_SECONDS = 1.0
# More runs don't end between two looks.
_MOST = 1000
# For all runs that are left when the service stops.
_LAST_SECONDS = 5.0
_STATUS: dict[State, Status] = {"SUCCEEDED": "FINISHED", "FAILED": "FAILED", "CANCELLED": "KILLED"}

_log = logging.getLogger(__name__)


class RunTracker:
    """Looks for ended runs in the store, and sends each once. No training waits for it.

    It sends runs that end after `start`. That includes the runs that the service's last end
    interrupted, if `start` is called before the scheduler's.

    Args:
        store, volume: the runs, and their versions.
        options: the server.
        every_seconds: time between two looks.
        send: sends a run within so many seconds.
    """

    def __init__(
        self,
        store: RunStore,
        volume: Volume,
        options: TrackingOptions,
        *,
        every_seconds: float = _LOOK_SECONDS,
        send: Callable[..., Delivery] = send,
    ) -> None:
        self._store = store
        self._volume = volume
        self._options = options
        self._every_seconds = every_seconds
        self._send = send
        self._next = 1
        # Runs from `_next` on that need no sending any more.
        self._done: set[int] = set()
        self._told = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)

    def start(self) -> None:
        """Leave out the runs that have ended, and begin to look. Raises StateError."""
        ended, self._next = self._store.ended_from(1, size=1)
        ended, self._next = self._store.ended_from(self._next, size=_MOST)
        self._done = {run.number for run in ended}
        self._thread.start()

    def stop(self) -> None:
        """Send the runs that have ended since the last look, within some seconds."""
        self._stopping.set()
        self._thread.join(_LAST_SECONDS + 1.0)
        if self._thread.is_alive():
            _log.warning("the service stops before all ended runs are sent to MLflow")

    def _work(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            self._look(lambda: self._options.seconds)
        deadline = time.monotonic() + min(_LAST_SECONDS, self._options.seconds)
        self._look(lambda: deadline - time.monotonic())

    def _look(self, seconds: Callable[[], float]) -> None:
        try:
            ended, following = self._store.ended_from(self._next, size=_MOST)
            told = ""
        except Exception as error:
            known = isinstance(error, StateError)
            ended, following = [], self._next
            told = str(error) if known else words.unexpected(error)
        if told and told != self._told:
            _log.warning("ended runs aren't sent to MLflow: %s", told)
        self._told = told
        for run in ended:
            if run.number not in self._done:
                self._done.add(run.number)
                self._track(run, max(1.0, seconds()))
        self._next = following
        self._done = {number for number in self._done if number >= following}

    def _track(self, run: Run, seconds: float) -> None:
        try:
            tracked = describe(self._ended(run))
            delivery = self._send(tracked, self._options, seconds=seconds)
        except Exception as error:
            # The next run must be sent all the same.
            _log.exception("training run %s", run.id)
            delivery = Delivery("", words.unexpected(error))
        text = delivery.told(f"training run {run.id}", self._options.address)
        level = logging.WARNING if delivery.problem else logging.INFO
        _log.log(level, "%s", text.removeprefix(NOTE))

    def _ended(self, run: Run) -> EndedRun:
        outcome, manifest = run.outcome, None
        if outcome.version:
            # The version may be deleted already.
            with contextlib.suppress(PublicationError):
                manifest = self._volume.read_manifest(outcome.version)
        began = run.created_at if run.started_at is None else run.started_at
        return EndedRun(
            command="serve",
            status=_STATUS.get(run.state, "FINISHED"),
            started_at=began,
            ended_at=began if run.ended_at is None else run.ended_at,
            spec=run.spec,
            run_id=run.id,
            manifest=manifest,
            metrics=outcome.metrics,
            gates=outcome.gates,
            warnings=outcome.warnings,
            seconds=outcome.seconds,
            label=run.spec.label,
            label_moved=outcome.label_moved,
            volume=str(self._volume),
            error=outcome.error,
        )
