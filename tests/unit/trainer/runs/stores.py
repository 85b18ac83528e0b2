"""Stores of runs, and what is put into them."""

from tests import specs
from trainer.runs.run import Run
from trainer.runs.store import RunStore
from trainer.spec import TrainingSpec

SPEC = specs.spec()


def add(
    store: RunStore,
    run_id: str = "a",
    *,
    spec: TrainingSpec = SPEC,
    request_id: str = "",
    now: float = 1.0,
) -> Run:
    return store.add(run_id, spec, request_id=request_id, now=now)
