"""A run that runs, from its process to its noted end."""

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
    """What a run told last, and whether it is to end; threads may share it.

    `run` is as it was taken from the queue at first; `on_change` is called when it has told something.
    """

    def __init__(self, run: Run, store: RunStore, on_change: Callable[[], None]) -> None:
        self.run = run
        self._store = store
        self._on_change = on_change
        # Guards what follows, and the run.
        self._lock = threading.Lock()
        self._process: RunProcess | None = None
        self._ending = ""

    def end(self, why: str) -> None:
        """Kill its process, as soon as there is one."""
        with self._lock:
            self._ending = self._ending or why
            self._kill()

    def follow(self, start: Callable[[Run], RunProcess], volume: Volume) -> tuple[State, Outcome]:
        """Run its process to the end; moves the label if the version deserves it."""
        try:
            return self._follow(start, volume)
        except Exception as error:
            # It has an end, too.
            _log.exception("training run %s", self.run.id)
            self._kill()
            return "FAILED", replace(self.run.outcome, error=words.unexpected(error))

    def finish(
        self, state: State, outcome: Outcome, clock: Callable[[], float], stops: Callable[[], bool]
    ) -> None:
        """Note its end, as soon as that can be done.

        `clock` tells seconds since the epoch; `stops` waits a moment, and whether the service stops.
        """
        outcome = replace(outcome, seconds_left=None)
        said = ""
        while True:
            try:
                run = self._store.end(self.run.id, state, outcome, now=clock())
                break
            except StateError as error:
                # A disk that is full now may have room again: the outcome isn't forgotten till then.
                if str(error) != said:
                    said = str(error)
                    _log.error("training run %s: its end can't be noted yet: %s", self.run.id, said)
                if not stops():
                    continue
            except RunError as error:
                # Its row was removed or changed under it; the queue goes on.
                said = str(error)
            # The log is the only place that has it.
            version = f" with version {outcome.version}" if outcome.version else ""
            unnoted = f"it ended as {state}{version}, which isn't noted: {said}"
            _log.error("training run %s: %s", self.run.id, unnoted)
            return
        if run.state != state:
            meanwhile = f"it ended as {state}, but its row was made {run.state} meanwhile"
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
            # From here on it is too late to cancel.
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
            # Only for whoever asks after a crash, so it isn't worth failing the run.
            with contextlib.suppress(StateError):
                self._store.note(self.run.id, outcome)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()


def _after(outcome: Outcome, event: Event) -> Outcome:
    """What is known of a run after its process told something."""
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
    """The final state of a run whose process has ended; moves the label if the version deserves it.

    `last` is what it told last, and `how` says how it ended.
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
    """Whether all was done but to note it when the service ended."""
    if not run.outcome.version or run.spec.label is None:
        return False
    try:
        return volume.read_label(run.spec.label) == run.outcome.version
    except PublicationError:
        return False


def _finite(metrics: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None}
