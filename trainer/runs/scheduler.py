"""Takes training runs from the queue and runs each in its own process, up to `parallel` at a time."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.observing.trace_settings import TraceSettings
from trainer.errors import RunEndedError, StateError
from trainer.pipeline import Places
from trainer.runs.active import CANCELLED, ActiveRun, had_moved_its_label
from trainer.runs.child import Task
from trainer.runs.process import RunProcess
from trainer.runs.store import DamagedRun, Run, RunStore, State
from trainer.spec import TrainingSpec

STOPPED = "the service was stopped while the run was running"
_RETRY_SECONDS = 1.0
_KEPT_LOGS = 100
_CANCEL_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Scheduler:
    """Takes runs from a store and runs them.

    Args:
        store: the runs.
        places: volume, data directory and event log of the runs.
        logs: directory of the processes' logs. The scheduler deletes old logs.
        parallel: number of runs at a time.
        traces: where spans go.
        clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        store: RunStore,
        places: Places,
        *,
        logs: Path,
        parallel: int = 1,
        traces: TraceSettings = TraceSettings(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._places = places
        self._logs = logs
        self._clock = clock
        self._traces = traces
        # The span of the call that queued each run. A restart forgets these spans.
        self._asked_by: dict[str, str] = {}
        # Guards the attributes below; notified of every change of a run.
        self._changed = threading.Condition()
        self._active: dict[str, ActiveRun] = {}
        self._changes = 0
        self._stopping = False
        # The last reason why no run could start, and the last unexpected error of each thread.
        self._told = ""
        self._surprises: dict[str, str] = {}
        # The kernel kills a process when the thread that started it ends, so these threads stay.
        self._threads = [
            threading.Thread(target=self._serve_queue, name=f"runs-{number}", daemon=True)
            for number in range(parallel)
        ]

    def start(self) -> None:
        """Mark the runs as failed that the last stop interrupted, and start. Raises StateError."""
        self._make_logs()
        for run in self._store.page(size=1000):
            if isinstance(run, DamagedRun) or run.problem:
                _log.error("training run %s: %s", run.id, run.problem)
        for run in self._store.page(size=1000, state="RUNNING"):
            if isinstance(run, Run) and had_moved_its_label(run, self._places.volume):
                outcome = replace(run.outcome, label_moved=True, seconds_left=None)
                self._store.end(run.id, "SUCCEEDED", outcome, now=self._clock())
        for run in self._store.recover(now=self._clock()):
            _log.warning("training run %s: %s", run.id, run.outcome.error)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the running runs, and return when their ends are stored."""
        with self._changed:
            self._stopping = True
            for active in self._active.values():
                active.end(STOPPED)
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def submit(self, spec: TrainingSpec, *, request_id: str = "") -> Run:
        """Queue a run. Raises as RunStore.add does."""
        now = self._clock()
        run_id = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        if traceparent := spans.traceparent():
            # Remember the span before the run can start.
            self._asked_by[run_id] = traceparent
        run = None
        try:
            run = self._store.add(run_id, spec, request_id=request_id, now=now)
        finally:
            if run is None or run.id != run_id:
                self._asked_by.pop(run_id, None)
        self.wake_watchers()
        with self._changed:
            active = self._active.get(run.id)
            return run if active is None else active.run

    def problem(self) -> str | None:
        """Return why no run can start, apart from problems of the store; None if runs can start."""
        with self._changed:
            stopping, why = self._stopping, next(filter(None, self._surprises.values()), "")
        if not stopping and not all(thread.is_alive() for thread in self._threads):
            why = "the thread that takes runs from the queue has ended; restart the service"
        return f"no training run starts: {why}" if why else None

    def get(self, run_id: str) -> Run:
        """Return a run as it is now. Raises RunNotFoundError."""
        with self._changed:
            if (active := self._active.get(run_id)) is not None:
                return active.run
        return self._store.get(run_id)

    def page(
        self, *, size: int, before: int | None = None, state: State | None = None
    ) -> list[Run | DamagedRun]:
        """See RunStore.page. Running runs have their current progress."""
        runs = self._store.page(size=size, before=before, state=state)
        with self._changed:
            return [
                self._active[run.id].run
                if run.id in self._active and not (isinstance(run, Run) and run.ended)
                else run
                for run in runs
            ]

    def watch(self, run_id: str, *, still_wanted: Callable[[], bool]) -> Iterator[Run]:
        """Yield a run as it is now, and again after each change, until it ends.

        Calls `still_wanted` about once a second, and stops when it returns False. Raises
        RunNotFoundError.
        """
        last: Run | None = None
        while still_wanted():
            with self._changed:
                seen = self._changes
            run = self.get(run_id)
            if run != last:
                last = run
                yield run
            if run.ended:
                return
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._changes != seen, timeout=1.0)  # type: ignore[misc]

    def wake_watchers(self) -> None:
        """Make all watchers look for a change, and call `still_wanted`, now."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def cancel(self, run_id: str) -> Run:
        """Cancel a queued or running run, and return it after its end.

        Raises as RunStore.get does, and RunEndedError if the run ended in another way.
        """
        patience = time.monotonic() + _CANCEL_SECONDS
        while True:
            run = self._store.cancel_queued(run_id, now=self._clock())
            if run.ended:
                self._asked_by.pop(run_id, None)
                self.wake_watchers()
                if run.state != "CANCELLED":
                    raise RunEndedError(run_id, run.state)
                return run
            with self._changed:
                active = self._active.get(run_id)
                if active is not None:
                    active.end(CANCELLED)
                    self._changed.wait_for(lambda: run_id not in self._active, timeout=_CANCEL_SECONDS)
                elif self._stopping:
                    return self._store.get(run_id)
                elif time.monotonic() < patience:
                    # The run left the queue at this moment. Wait until it is active.
                    self._changed.wait(0.01)
                else:
                    # Another program set the run to RUNNING in the file. No thread would ever end it.
                    outcome = replace(run.outcome, error=CANCELLED)
                    self._store.end(run_id, "CANCELLED", outcome, now=self._clock())

    def _make_logs(self) -> None:
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise StateError(
                self._logs, "should be a directory: remove the file, and the service creates one"
            ) from error
        except OSError as error:
            raise StateError.of(error, self._logs) from error

    # ---- the methods below run on the scheduler's own threads

    def _serve_queue(self) -> None:
        own = threading.current_thread().name
        while True:
            with self._changed:
                if self._stopping:
                    return
                seen = self._changes
            try:
                run = self._next()
                if run is not None:
                    self._run(run)
                surprise = ""
            except Exception as error:
                # If the error ended this thread, no run would start any more.
                run, surprise = None, words.unexpected(error)
                if self._surprises.get(own) != surprise:
                    _log.exception("no training run starts: %s", surprise)
            with self._changed:
                self._surprises[own] = surprise
                if run is None:
                    self._changed.wait_for(
                        lambda seen=seen: self._stopping or self._changes != seen,  # type: ignore[misc]
                        timeout=_RETRY_SECONDS,
                    )

    def _next(self) -> Run | None:
        try:
            run = self._store.start_next(now=self._clock())
        except StateError as error:
            # Log a problem once, not at each attempt.
            if str(error) != self._told:
                self._told = str(error)
                _log.error("no training run can start: %s", error)
            return None
        self._told = ""
        if run is not None:
            active = ActiveRun(run, self._store, self.wake_watchers)
            with self._changed:
                self._active[run.id] = active
                if self._stopping:
                    active.end(STOPPED)
            self.wake_watchers()
        return run

    def _run(self, run: Run) -> None:
        active = self._active[run.id]
        state, outcome = active.follow(self._start, self._places.volume)
        try:
            active.finish(state, outcome, self._clock, self._stops)
        finally:
            with self._changed:
                del self._active[run.id]
            self.wake_watchers()
            self._forget_old_logs()

    def _start(self, run: Run) -> RunProcess:
        places = self._places
        task = Task(
            run.spec,
            str(places.volume),
            str(places.data_dir),
            str(places.event_log),
            cache_dir=str(places.volume.folder),
            cache_bytes=places.cache_bytes,
            run_id=run.id,
            traces=self._traces,
            asked_by=self._asked_by.pop(run.id, ""),
        )
        # Someone may have removed the directory since the start.
        self._make_logs()
        return RunProcess(task, self._logs / f"{run.id}.log")

    def _stops(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping, timeout=_RETRY_SECONDS)

    def _forget_old_logs(self) -> None:
        with contextlib.suppress(OSError):
            for pattern in ("*.log", "*.skipped.csv"):
                for path in sorted(self._logs.glob(pattern))[:-_KEPT_LOGS]:
                    path.unlink(missing_ok=True)
