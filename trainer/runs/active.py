"""Follows a running training run, from the start of its process until its result is stored."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import msgspec

from lightfm_retriever.hosting import words
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.volume import Volume
from trainer.errors import RunError, StateError
from trainer.promotion.checks import Expected, move_label
from trainer.runs.child_events import Event, Finished, Metrics, Progress, RunFailed
from trainer.runs.process import RunProcess
from trainer.runs.store import Outcome, Run, RunStore, State

CANCELLED = "cancelled"

_log = logging.getLogger(__name__)


class ActiveRun:
    """The latest state of a running training run. Threads may share it.

    Args:
        run: the run as it left the queue.
        on_change: called after each event of the run's process.
    """

    def __init__(self, run: Run, store: RunStore, on_change: Callable[[], None]) -> None:
        self.run = run
        self._store = store
        self._on_change = on_change
        # Guards the run and the attributes below.
        self._lock = threading.Lock()
        self._process: RunProcess | None = None
        self._ending = ""

    def end(self, why: str) -> None:
        """Kill the run's process, or the process that is about to start."""
        with self._lock:
            self._ending = self._ending or why
            self._kill()

    def follow(self, start: Callable[[Run], RunProcess], volume: Volume) -> tuple[State, Outcome]:
        """Run the process to its end. Moves the label if the new version passes its gates."""
        try:
            return self._follow(start, volume)
        except Exception as error:
            # A run must end after an unexpected error, too.
            _log.exception("training run %s", self.run.id)
            self._kill()
            return "FAILED", replace(self.run.outcome, error=words.unexpected(error))

    def finish(
        self, state: State, outcome: Outcome, clock: Callable[[], float], stops: Callable[[], bool]
    ) -> None:
        """Store the end of the run. Tries again until the store can be written or the service stops.

        Args:
            state: final state of the run.
            outcome: result of the run.
            clock: returns seconds since the epoch.
            stops: waits a moment, and returns whether the service stops.
        """
        outcome = replace(outcome, seconds_left=None)
        said = ""
        while True:
            try:
                run = self._store.end(self.run.id, state, outcome, now=clock())
                break
            except StateError as error:
                # A full disk may have room again later: keep the outcome until then.
                if str(error) != said:
                    said = str(error)
                    _log.error("training run %s: its end can't be stored yet: %s", self.run.id, said)
                if not stops():
                    continue
            except RunError as error:
                # Another program removed or changed the run's row. The queue continues.
                said = str(error)
            # Only the log has the result now.
            version = f" with version {outcome.version}" if outcome.version else ""
            unnoted = f"it ended as {state}{version}, but its end isn't stored: {said}"
            _log.error("training run %s: %s", self.run.id, unnoted)
            return
        if run.state != state:
            meanwhile = f"it ended as {state}, but another program had set its row to {run.state}"
            _log.error("training run %s: %s", run.id, meanwhile)
        why = f": {run.outcome.error}" if run.outcome.error else ""
        _log.info("training run %s: %s%s", run.id, run.state, why)

    def _follow(self, start: Callable[[Run], RunProcess], volume: Volume) -> tuple[State, Outcome]:
        last: Event | None = None
        how = ""
        try:
            process = start(self.run)
            with self._lock:
                self._process = process
                if self._ending:
                    self._kill()
            _log.info("training run %s: started, process %d", self.run.id, process.pid)
            for event in process.events():
                last = event
                self._note(event)
            how = process.wait()
        except (OSError, StateError) as error:
            how = f"its process can't be started: {words.reason(error)}"
        with self._lock:
            # From here on, cancelling the run has no effect.
            ending, run = self._ending, self.run
        if ending:
            state: State = "CANCELLED" if ending == CANCELLED else "FAILED"
            return state, replace(run.outcome, error=ending)
        return _conclude(run, last, how, volume)

    def _note(self, event: Event) -> None:
        before = self.run.outcome
        outcome = _after(before, event)
        with self._lock:
            self.run = replace(self.run, outcome=outcome)
        self._on_change()
        if outcome.stage != before.stage:
            # The stored progress only matters after a crash, so its failure mustn't fail the run.
            with contextlib.suppress(StateError):
                self._store.note(self.run.id, outcome)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()


def _after(outcome: Outcome, event: Event) -> Outcome:
    """Return the outcome of a run after an event of its process."""
    match event:
        case Progress():
            return replace(outcome, **msgspec.structs.asdict(event))
        case Metrics():
            return replace(outcome, metrics=_finite(event.metrics))
        case Finished():
            return replace(
                outcome,
                stage="done",
                done=0,
                total=0,
                metrics=_finite(event.metrics),
                version=event.version,
                gates=event.gates,
                warnings=event.warnings,
                seconds=event.seconds,
            )
        case RunFailed():
            return outcome


def _conclude(run: Run, last: Event | None, how: str, volume: Volume) -> tuple[State, Outcome]:
    """Return the final state of a run whose process has ended. Moves the label if the version passes.

    Args:
        run: the run.
        last: last event of its process.
        how: how the process ended, in words.
        volume: volume of the version and the label.
    """
    outcome, label = run.outcome, run.spec.label
    if isinstance(last, RunFailed):
        return "FAILED", replace(outcome, error=last.error)
    if not isinstance(last, Finished):
        return "FAILED", replace(outcome, error=how)
    if label is None or not last.passed:
        return "SUCCEEDED", outcome
    expected = Expected(last.expected[0]) if last.expected else None
    try:
        moved = move_label(volume, last.version, label, expected)
    except PublicationError as error:
        text = f"{last.version} is published, but label {label!r} can't be moved: {error}"
        return "FAILED", replace(outcome, error=text)
    if moved is not None:
        return "SUCCEEDED", replace(outcome, gates=[*outcome.gates, moved])
    return "SUCCEEDED", replace(outcome, label_moved=True)


def had_moved_its_label(run: Run, volume: Volume) -> bool:
    """Return whether the run had moved its label before the service ended: it has succeeded then."""
    if not run.outcome.version or run.spec.label is None:
        return False
    try:
        return volume.read_label(run.spec.label) == run.outcome.version
    except PublicationError:
        return False


def _finite(metrics: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None}
