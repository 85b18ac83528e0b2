"""A training run and its states.

    QUEUED ──► RUNNING ──► SUCCEEDED
       │          ├──────► FAILED
       └──────────┴──────► CANCELLED

A run leaves a state only along an arrow. A change that comes too late has no effect.
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
    """The results of a run so far.

    Attributes:
        stage: current or last stage.
        done, total: progress of the stage, in steps; `total` is 0 when it is unknown.
        metrics: metrics so far, by name.
        version: name of the published version; empty before the publication.
        label_moved: whether the run pointed its label at the version.
        gates: result of each gate.
        warnings: sentences about data and indexes.
        error: why the run failed or was cancelled.
        seconds: duration of each stage, by name.
        seconds_left: estimate for the current stage; None when unknown.
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
    """A training run. Times are seconds since the epoch; None before the event.

    `problem` is "", or says why this release refuses the run's spec, which another release accepted.
    `spec` is then a substitute.
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
        """Whether the run is in a final state."""
        return self.state in FINAL


@dataclass(frozen=True, kw_only=True)
class DamagedRun:
    """A run whose stored row can't be read. `problem` names the file, the row and the column.

    `id` is empty when the id can't be read.
    """

    number: int
    id: str
    problem: str
