"""A trainer as its operator sees it: a process, its runs, and what the system says of it."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from tests.machine import children_of
from tests.service import ServiceProcess

# How long anything may take: an end to waiting for what never comes, not a measure.
PATIENCE = 60
ROOT = Path(__file__).parents[1]
# Between two looks at what nothing tells of.
_LOOK_SECONDS = 0.02

QUICK = {
    "hyperparameters": pb.Hyperparameters(components=4, epochs=2, seed=1),
    "index_threads": 1,
    "trees": 3,
}
"""Fields of a spec that trains in less time than its process takes to start."""

QUEUED = pb.TRAINING_RUN_STATE_QUEUED
RUNNING = pb.TRAINING_RUN_STATE_RUNNING
SUCCEEDED = pb.TRAINING_RUN_STATE_SUCCEEDED
FAILED = pb.TRAINING_RUN_STATE_FAILED
CANCELLED = pb.TRAINING_RUN_STATE_CANCELLED
FINAL = frozenset({SUCCEEDED, FAILED, CANCELLED})
# So many epochs that a run lasts until it is ended.
_LONG = pb.Hyperparameters(components=1024, epochs=10_000, seed=1)


def spec(data: pb.DataSpec | None = None, **fields: Any) -> pb.TrainingSpec:
    """A spec that trains quickly, on the event log by default."""
    return pb.TrainingSpec(
        data=pb.DataSpec(event_log=True) if data is None else data, **{**QUICK, **fields}
    )


def of_file(**fields: Any) -> pb.TrainingSpec:
    """The same of a file that the service's data root has."""
    return spec(pb.DataSpec(interactions="interactions.parquet"), **fields)


def long(**fields: Any) -> pb.TrainingSpec:
    """A spec that trains until it is ended."""
    return of_file(hyperparameters=_LONG, **fields)


def trains(run: pb.TrainingRun) -> object:
    """Whether a run is in the middle of its training."""
    return run.stage == "Training, epochs" and run.done


def events(rows: Iterable[tuple[str, str, float]], *, prefix: str) -> list[pb.InteractionEvent]:
    """Interactions as they are appended, with ids of their own."""
    return [
        pb.InteractionEvent(event_id=f"{prefix}{number}", user_id=user, item_id=item, weight=weight)
        for number, (user, item, weight) in enumerate(rows)
    ]


class TrainerService(ServiceProcess):
    """`python -m trainer serve`, and a connection to it.

    Args:
        volume: where it publishes: a folder, made when it isn't there, or a URL.
        state: directory of its runs and events; its standard error goes to a file beside that.
        flags: of the command line.
    """

    def __init__(self, volume: Path | str, state: Path, **flags: object) -> None:
        if isinstance(volume, Path):
            volume.mkdir(parents=True, exist_ok=True)
        self.volume = volume
        self.state = state
        command = [sys.executable, "-m", "trainer", "serve", "--volume", str(volume)]
        command += ["--state", str(state), "--listen", "127.0.0.1:0"]
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("TRAINER_")
        }
        super().__init__(command, state.with_name(f"{state.name}.log"), inherited, flags)
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = self._stack.enter_context(grpc.insecure_channel(self.target, options=options))
        self.stub = pb_grpc.TrainerServiceStub(channel)

    def call(self, method: str, request: Any) -> Any:
        """Call a method that answers once."""
        return getattr(self.stub, method)(request, timeout=PATIENCE)

    def submit(self, wanted: pb.TrainingSpec, *, request_id: str = "") -> str:
        """Queue a run; returns its id."""
        request = pb.TrainRequest(spec=wanted, request_id=request_id)
        return str(self.call("Train", request).training_run.id)

    def get(self, run_id: str) -> pb.TrainingRun:
        """A run as it is now."""
        request = pb.GetTrainingRunRequest(training_run_id=run_id)
        return self.call("GetTrainingRun", request).training_run

    def runs(self, *, state: int = 0) -> list[pb.TrainingRun]:
        """All runs, the latest first, by pages of seven."""
        found: list[pb.TrainingRun] = []
        token = ""
        while True:
            request = pb.ListTrainingRunsRequest(page_size=7, page_token=token, state=state)
            response = self.call("ListTrainingRuns", request)
            found += response.training_runs
            token = response.next_page_token
            if not token:
                return found

    def watch(self, run_id: str) -> Iterator[pb.TrainingRun]:
        """A run whenever it changes, to its end."""
        request = pb.WatchTrainingRunRequest(training_run_id=run_id)
        for response in self.stub.WatchTrainingRun(request, timeout=PATIENCE):
            yield response.training_run

    def end(self, run_id: str) -> pb.TrainingRun:
        """A run at its end."""
        *_, last = self.watch(run_id)
        return last

    def wait_for(self, run_id: str, holds: Callable[[pb.TrainingRun], object]) -> pb.TrainingRun:
        """A run once it is as wanted."""
        for run in self.watch(run_id):
            if holds(run):
                return run
        raise AssertionError(f"it ended: {run}")

    def cancel(self, run_id: str) -> pb.TrainingRun:
        """Cancel a run; returns it as it ended."""
        request = pb.CancelTrainingRunRequest(training_run_id=run_id)
        return self.call("CancelTrainingRun", request).training_run

    def append(
        self, new: Sequence[pb.InteractionEvent], *, messages: int = 1
    ) -> pb.AppendInteractionsResponse:
        """Append events in a stream of so many messages."""
        requests = [
            pb.AppendInteractionsRequest(events=new[number::messages]) for number in range(messages)
        ]
        return self.call("AppendInteractions", iter(requests))

    def child(self) -> int:
        """The process id of the one run that runs."""
        [pid] = children_of(self.pid)
        return pid


def wait_until(holds: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Wait until something holds that nothing tells of."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it didn't come"
        time.sleep(_LOOK_SECONDS)


def refused(call: Callable[..., object], *arguments: object) -> tuple[grpc.StatusCode, str, str]:
    """A call that fails: its code, its message, and the field or reason of its one detail."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    code, message = caught.value.code(), caught.value.details()
    status = rpc_status.from_call(caught.value)
    assert status is not None, message
    return code, message, field_or_reason(message, status)


def field_or_reason(message: str, status: Any) -> str:
    """What the one detail of a status names, a google.rpc.Status with such a message."""
    [detail] = status.details
    found = error_details_pb2.BadRequest()
    if detail.Unpack(found):
        [violation] = found.field_violations
        # Either is cut where it is long.
        assert message[:300] == f"{violation.field}: {violation.description}"[:300]
        return str(violation.field)
    found = error_details_pb2.ErrorInfo()
    assert detail.Unpack(found)
    assert found.domain == "lightfm-retriever"
    return str(found.reason)
