"""When to load which version: pure functions of what is published, what is loaded, and what failed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

# Between attempts to load a version that failed for no fault of its own: the first and the longest.
_PAUSE_SECONDS = 1.0, 30.0
# Where an attempt cost worker processes, or all the time that it may take.
_COSTLY_PAUSE_SECONDS = 30.0, 600.0


class Step(Enum):
    """How far the candidate, the version that may come next, has got."""

    VERIFYING = auto()
    VERIFIED = auto()
    PREPARING = auto()


class Action(Enum):
    """What to do next."""

    NOTHING = auto()
    VERIFY = auto()
    PREPARE_ONE = auto()
    PREPARE_REST = auto()
    COMMIT = auto()
    ABANDON = auto()


@dataclass(frozen=True)
class Candidate:
    """The version that may come next.

    Attributes:
        version: its name.
        step: how far it has got.
        waiting: number of workers that were told to prepare it and haven't answered.
        prepared: number of workers that have prepared it.
    """

    version: str
    step: Step
    waiting: int = 0
    prepared: int = 0


@dataclass(frozen=True)
class Observed:
    """Everything the decision depends on.

    Attributes:
        target: the version that the label names, None when it can't be read.
        committed: the version that serves, None when none does.
        failed: whether `target` failed before, and isn't to be tried again yet.
        candidate: the version on its way, None when there is none.
        settled: number of workers that serve `committed` (or nothing, when it is None) and have nothing
            else to do.
        joining: number of workers that boot, or are on their way to `committed`.
        down: number of workers that aren't there at all.
        suspect: whether a worker died while it prepared the candidate.
    """

    target: str | None
    committed: str | None
    failed: bool
    candidate: Candidate | None
    settled: int
    joining: int
    down: int = 0
    suspect: bool = False


def decide(observed: Observed) -> Action:
    """The next step towards serving what the label names.

    A label that can't be read changes nothing: neither what serves nor a candidate on its way. One
    worker prepares before all others do: a version that kills whoever opens it then costs one worker,
    and the others go on.
    """
    candidate = observed.candidate
    if candidate is None:
        return _begin(observed)
    if observed.target not in (None, candidate.version):
        return Action.ABANDON
    if candidate.step is Step.VERIFIED:
        # Workers on their way would miss the commit that the others make together. What may have
        # killed one worker gets another only when all are back.
        away = observed.joining + (observed.down if observed.suspect else 0)
        return Action.PREPARE_ONE if observed.settled and not away else Action.NOTHING
    if candidate.step is Step.PREPARING and candidate.waiting == 0:
        # Without a prepared worker it has died meanwhile: begin again.
        if not candidate.prepared:
            return Action.ABANDON
        return Action.PREPARE_REST if observed.settled else Action.COMMIT
    return Action.NOTHING


def _begin(observed: Observed) -> Action:
    if observed.target in (None, observed.committed) or observed.failed:
        return Action.NOTHING
    return Action.VERIFY


def pause_seconds(attempts: int, *, took: float, costly: bool, chance: float) -> float:
    """How long to wait before a version is tried again that failed for no fault of its own.

    Args:
        attempts: that failed, one after the other, at least 1.
        took: how long the latest one took, in seconds. Trying takes half of the time at the most.
        costly: whether it cost processes or all the time that it may take.
        chance: in 0..1, so that many hosts don't try at the same moment.
    """
    first, longest = _COSTLY_PAUSE_SECONDS if costly else _PAUSE_SECONDS
    # No power of 2 beyond what a float holds.
    pause = min(longest, first * 2.0 ** min(attempts - 1, 16))
    return max(pause * (0.75 + chance / 4), took)


def gives_up(target: str | None, *, target_failed: bool, passing: bool) -> bool:
    """Whether to give a version up that is to serve, that no worker serves, and that one can't open.

    Then all begin anew with what the label names, the same version or another one. Where there is
    nothing to begin with, what passes is waited for: workers are started again.
    """
    return not passing or (target is not None and not target_failed)
