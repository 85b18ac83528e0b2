"""What is said while no version is served, and by probes."""

import pytest

from retriever.control import FailedVersion, Loading, ServiceState, WorkerFacts
from retriever.waiting import Waiting, not_live, not_ready, waiting_for

STARTS = "the service is starting and hasn't read the volume yet"
READ = "version v1 has been loading for 12 s: its files are being verified"
FAILED, PINNED = [FailedVersion("v1", "items.trie is broken", 1.0)], {"label": "", "target": "v1"}
CANNOT = "can't be served: items.trie is broken"
OPENED, VERIFIED = Loading("v1", "PREPARING", 101.0), Loading("v1", "VERIFIED", 100.0)
LOADS = "version v1 has been loading for 0 s: "


@pytest.mark.parametrize(
    ("fleet", "passes", "reason"),
    [
        (None, True, STARTS),
        ({}, True, STARTS),
        ({"target": "v1"}, True, "version v1 is about to be loaded"),
        # Another one failed, before the label moved away from it.
        ({"target": "v2", "failed": FAILED}, True, "version v2 is about to be loaded"),
        ({"label_problem": "no label", "failed": FAILED}, False, "no label"),
        ({"target": "v1", "failed": FAILED}, False, f"version v1, which label current names, {CANNOT}"),
        ({**PINNED, "failed": FAILED}, False, f"version v1, which the service is pinned to, {CANNOT}"),
        ({"target": "v1", "failed": FAILED, "loading": Loading("v1", "VERIFYING", 87.6)}, True, READ),
        (
            {"label_problem": "away", "loading": OPENED},
            True,
            f"{LOADS}the workers are opening it; away",
        ),
        ({"loading": VERIFIED}, True, f"{LOADS}the workers are about to open it"),
    ],
)
def test_it_names_the_version_and_what_is_done_or_wrong(fleet, passes, reason):
    told = None if fleet is None else ServiceState(**{"label": "current", **fleet})
    assert waiting_for(told, now=100.0) == Waiting(reason, passes=passes)


WORKERS = (("running", "v"), ("booted", "v"), ("running", ""))
RUNNING, BOOTED, EMPTY = (WorkerFacts(0, 71, *own, 1.0, 2.0, 3) for own in WORKERS)


@pytest.mark.parametrize(
    ("fleet", "stopping", "reason"),
    [
        ({"version": "v", "workers": [BOOTED, RUNNING]}, None, None),
        ({"version": "v", "workers": [RUNNING]}, "SIGTERM", "SIGTERM: draining"),
        ({"version": "v", "workers": [BOOTED, EMPTY]}, None, "no worker takes calls"),
        (None, None, "no version is served: the service is starting and hasn't read the volume yet"),
        ({"target": "v", "loading": Loading("v", "VERIFYING", 95)}, None, "loading for 5 s"),
    ],
)
def test_it_is_ready_while_a_worker_serves_a_version(fleet, stopping, reason):
    told = fleet and ServiceState(label="current", **fleet)
    found = not_ready(told, stopping=stopping, now=100.0)
    assert found is None if reason is None else reason in found


def test_it_is_live_unless_the_parent_is_stuck():
    stuck = "the parent process has been stuck for 10 s"
    for seconds, stopping, reason in ((9.9, None, None), (10, None, stuck), (12, "SIGTERM", None)):
        assert not_live(silent_seconds=seconds, stopping=stopping) == reason
