"""Stores of runs, and what is put into them."""

from tests import specs
from trainer.runs.run import Run
from trainer.runs.store import Outcome, RunStore, State
from trainer.spec import TrainingSpec

SPEC = specs.spec()
NOTHING = Outcome()


def add(
    store: RunStore,
    run_id: str = "a",
    *,
    spec: TrainingSpec = SPEC,
    request_id: str = "",
    now: float = 1.0,
) -> Run:
    return store.add(run_id, spec, request_id=request_id, now=now)


def start(store: RunStore) -> str | None:
    """Start the next run; returns its id."""
    run = store.start_next(now=2.0)
    return run and run.id


def end(store: RunStore, run_id: str = "a", state: State = "FAILED", outcome: Outcome = NOTHING) -> Run:
    return store.end(run_id, state, outcome, now=3.0)


def ids_of(store: RunStore) -> list[str]:
    """Of all runs, the latest first."""
    return [run.id for run in store.page(size=100)]
