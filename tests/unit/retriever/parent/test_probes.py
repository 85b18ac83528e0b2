from __future__ import annotations

import pytest

from retriever import control
from retriever.parent import probes

RUNNING = control.WorkerFacts(0, 71, "running", "v", 1.0, 2.0, 3)
BOOTED = control.WorkerFacts(1, 72, "booted", "v", 1.0, 0.0, 0)
EMPTY = control.WorkerFacts(2, 73, "running", "", 1.0, 0.0, 0)


@pytest.mark.parametrize(
    ("fleet", "stopping", "reason"),
    [
        ({"version": "v", "workers": [BOOTED, RUNNING]}, None, None),
        ({"version": "v", "workers": [RUNNING]}, "SIGTERM", "SIGTERM: draining"),
        ({"version": "v", "workers": [BOOTED, EMPTY]}, None, "no worker takes calls"),
        (None, None, "no version is served: the service starts and hasn't looked at the volume yet"),
        ({"target": "v", "loading": control.Loading("v", "VERIFYING", 95)}, None, "loaded, 5 s so far"),
    ],
)
def test_it_is_ready_while_a_worker_serves_a_version_and_no_longer_than_it_serves(
    fleet, stopping, reason
):
    told = None if fleet is None else control.ServiceState(label="current", **fleet)
    found = probes.not_ready(told, stopping=stopping, now=100.0)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("seconds", "stopping", "reason"),
    [
        (9.9, None, None),
        (10.0, None, "the parent has been stuck for 10 s"),
        (12.0, "SIGTERM", None),
    ],
)
def test_it_is_live_unless_the_parent_is_stuck(seconds, stopping, reason):
    assert probes.not_live(silent_seconds=seconds, stopping=stopping) == reason
