"""Traces and access lines of a trainer's service as a process."""

import json

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from tests import datasets
from tests.otlp import Receiver
from tests.trainer_service import PATIENCE, TrainerService, events, spec

TRACE, CALLER = "a" * 32, "b7ad6b7169203331"
SERVICE = "recsys.trainer.v1.TrainerService"
STAGES = ["read", "dataset", "validate", "fit", "evaluate", "index", "publish", "verify", "gates"]


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def service(tmp_path_factory, receiver):
    folder = tmp_path_factory.mktemp("traced")
    flags = {"otlp_endpoint": receiver.url, "log_format": "json", "access_log": True}
    with TrainerService(folder / "volume", folder / "state", **flags) as service:
        yield service


def trained(service, trace, *, sampled):
    """Ask for a run by a call of a trace; returns the run's id, and what the answer ends with."""
    service.append(events(datasets.rows(), prefix="e"), messages=2)
    sent = ("traceparent", f"00-{trace}-{CALLER}-0{sampled}"), ("x-request-id", "mine")
    request = pb.TrainRequest(spec=spec())
    response, call = service.stub.Train.with_call(request, timeout=PATIENCE, metadata=sent)
    run_id = response.training_run.id
    assert service.end(run_id).state == pb.TRAINING_RUN_STATE_SUCCEEDED
    return run_id, [*call.trailing_metadata()]


def test_a_run_and_its_stages_belong_to_the_call_that_asked_for_it(service, receiver):
    run_id, told = trained(service, TRACE, sampled=1)
    assert told == [("x-request-id", "mine")]
    # They come from two processes, in any order.
    both = {f"{SERVICE}/Train", "training run"}
    spans = receiver.wait_for(lambda spans: both <= {span.name for span in spans}, trace_id=TRACE)
    named = {span.name: span for span in spans}
    train, run = named[f"{SERVICE}/Train"], named["training run"]
    assert (train.parent_id, run.parent_id) == (CALLER, train.span_id)
    assert train.attributes["training_run"] == run.attributes["training_run"] == run_id
    assert train.resource["service.name"] == run.resource["service.name"] == "lightfm-trainer"
    assert train.resource["process.pid"] == service.pid != run.resource["process.pid"]
    stages = [span for span in spans if span.parent_id == run.span_id]
    assert [span.name for span in stages] == STAGES
    for name in ("build index", "measure"):
        assert named[name].parent_id == named["index"].span_id
    assert all(run.begin <= span.begin <= span.end <= run.end for span in stages)


def test_a_run_that_no_traced_call_asked_for_has_a_trace_of_its_own(service, receiver):
    run_id, _ = trained(service, "c" * 32, sampled=0)
    run = receiver.wait_for_any(
        lambda span: span.name == "training run" and span.attributes["training_run"] == run_id
    )
    assert run.parent_id == ""
    assert receiver.trace("c" * 32) == []


def test_every_call_has_a_line_streams_at_their_end(service):
    run_id = service.submit(spec())
    service.cancel(run_id)
    service.end(run_id)
    assert service.terminate() == 0
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert {line["role"] for line in lines} == {"trainer"}
    calls = [line for line in lines if line["logger"] == "access"]
    ended = {line["method"].rpartition("/")[2]: line for line in calls}
    assert ended["WatchTrainingRun"]["code"] == "OK"
    assert ended["CancelTrainingRun"]["training_run"] == run_id
