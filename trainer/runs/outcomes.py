"""What comes of training runs: while their processes tell, and at their end."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.volume import Volume
from trainer.promotion.checks import Expected, move_label
from trainer.runs.child_events import Event, Finished, Metrics, Progress, RunFailed
from trainer.runs.store import Outcome, Run, State


def after(outcome: Outcome, event: Event) -> Outcome:
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


def conclude(run: Run, last: Event | None, how: str, volume: Volume) -> tuple[State, Outcome]:
    """The final state of a run whose process has ended; moves the label if the version deserves it.

    Args:
        run: with the outcome after all that its process told.
        last: what it told last.
        how: it ended, in words.
        volume: of the versions and labels.
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
