from dataclasses import replace
from typing import get_args

from google.protobuf import json_format
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.release import release
from lightfm_retriever.publication.manifest import WayFacts
from retriever import control
from retriever.parent.worker_process import State
from retriever.worker.fleet_messages import status_message
from tests import publications

FLEET = control.ServiceState(
    label="canary",
    target="v2",
    version="v1",
    label_problem="a problem",
    served_problem="a changed",
    last_reload=control.ReloadFacts("v2", False, "broken", 0.25, 1_800_000_000.5, 0.125),
    workers=[
        control.WorkerFacts(
            *(0, 123, "running", "v1", 1_700_000_000.0, 1_700_000_001.0, 2),
            control.Load(calls=10, refused=3, in_flight=2, pss_bytes=1 << 33),
        ),
        control.WorkerFacts(1, 0, "down", "", 0, 0, 3),
    ],
    failed=[
        control.FailedVersion("v2", "no room", 1_800_000_000.0, passing=True),
        control.FailedVersion("v0", "torn", 1_600_000_000.0),
    ],
)
TOLD = {
    "software_version": release(),
    "label": "canary",
    "label_target": "v2",
    "version": "v1",
    "label_problem": "a problem",
    "served_problem": "a changed",
    "last_reload": {
        "version": "v2",
        "reason": "broken",
        "duration_seconds": 0.25,
        "ended_at": "2027-01-15T08:00:00.500Z",
        "commit_spread_seconds": 0.125,
    },
    "workers": [
        {
            "pid": "123",
            "state": "WORKER_STATE_RUNNING",
            "version": "v1",
            "started_at": "2023-11-14T22:13:20Z",
            "serving_since": "2023-11-14T22:13:21Z",
            "restarts": 2,
            "calls": "10",
            "refused_calls": "3",
            "calls_in_flight": 2,
            "pss_bytes": str(1 << 33),
        },
        {"index": 1, "state": "WORKER_STATE_DOWN", "restarts": 3},
    ],
    "failed_versions": [
        {"version": "v2", "reason": "no room", "failed_at": "2027-01-15T08:00:00Z", "retried": True},
        {"version": "v0", "reason": "torn", "failed_at": "2020-09-13T12:26:40Z"},
    ],
}


def test_the_status_is_what_the_parent_told_and_at_first_that_the_service_starts():
    found = json_format.MessageToDict(status_message(FLEET), preserving_proto_field_name=True)
    assert found == TOLD
    status = status_message(control.ServiceState(label="current"))
    assert "the service is starting" in status.not_serving_reason
    assert not status.HasField("last_reload")


def test_every_state_of_a_worker_has_a_name_in_the_status():
    for state in get_args(State):
        worker = control.WorkerFacts(0, 1, state, "", 0, 0, 0)
        [told] = status_message(control.ServiceState(label="current", workers=[worker])).workers
        name = "starting" if state == "booted" else state
        assert pb.WorkerState.Name(told.state) == f"WORKER_STATE_{name.upper()}"


def test_the_status_tells_the_recall_of_each_question():
    index = publications.index_facts(dimensions=4, file="recommend.annoy")
    way = WayFacts(recall_at_10=0.95, query_microseconds=9.0, effort=2.0, depths=[])
    recommend = replace(index, recall_at_10=0.97, ways={"session": way})
    similar = replace(index, backend="exact", target_recall=None)
    told = status_message(FLEET, {"recommend": recommend, "similar": similar}).indexes
    assert [(one.name, one.backend, one.target_recall, dict(one.recall_at_10)) for one in told] == [
        ("similar", "exact", 0.0, {"item": 1.0}),
        ("recommend", "annoy", 0.95, {"known": 0.97, "session": 0.95}),
    ]
    assert not status_message(FLEET).indexes
