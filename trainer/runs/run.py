"""A training run and its states.

    QUEUED ──► RUNNING ──► SUCCEEDED
       │          ├──────► FAILED
       └──────────┴──────► CANCELLED

A run leaves a state only by the arrows; whoever comes too late changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from lightfm_retriever.hosting.options import Option
from trainer.promotion.gates import GateResult
from trainer.spec import TrainingSpec

State = Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
STATES: tuple[State, ...] = get_args(State)
PAGE_SIZE = Option("number of runs to list", ge=1, le=1000)
FINAL: frozenset[State] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run so far.

    Attributes:
        stage, done, total: what it does now or did last, and how much of it is done.
        metrics: by name, as they become known.
        version: what it published; empty before that.
        label_moved: whether its label names the version because of it.
        gates: how the version did.
        warnings: sentences about data and indexes.
        error: why it failed or was cancelled.
        seconds: by stage.
        seconds_left: estimate for the stage; None when it can't be told.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    version: str = ""
    label_moved: bool = False
    gates: list[GateResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run; times are seconds since the epoch, None for what hasn't happened.

    `problem` says why a stand-in takes the place of its spec: another release accepted what this one
    refuses; "" when none does.
    """

    number: int
    id: str
    request_id: str
    state: State
    spec: TrainingSpec
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome = field(default_factory=Outcome)
    problem: str = ""

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return self.state in FINAL


@dataclass(frozen=True, kw_only=True)
class DamagedRun:
    """A run whose stored row can't be read: `problem` names the file, the row and the column.

    `id` is empty when that is what can't be read.
    """

    number: int
    id: str
    problem: str
