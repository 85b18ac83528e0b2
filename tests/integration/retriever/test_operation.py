"""What an operator uses: probes, the status, a pinned version."""

from __future__ import annotations

import json
import re

import pytest

from lightfm_retriever.publication import labels
from retriever.__main__ import main
from tests.load import callers, models


@pytest.fixture
def run(capsys):
    """Runs a command in this process; returns its exit status and its output."""

    def run(command, service, *flags):
        status = main([command, *flags, "--target", service.target])
        return status, capsys.readouterr().out

    return run


def test_a_service_that_serves_is_ready_and_tells_of_calls_and_memory(start, run, volume):
    service = start(volume)
    for probe in ("--readiness", "--liveness"):
        status, output = run("health", service, probe, "--json")
        assert (status, json.loads(output)) == (0, {"healthy": True, "serving": True})
    with callers.connection(service.target) as ask:
        for _ in range(30):
            ask("SimilarItems", models.ITEM_IDS[0])
    status = service.wait_until(
        lambda status: (
            sum(worker.calls for worker in status.workers) == 30
            and all(1 << 20 < worker.pss_bytes < 1 << 30 for worker in status.workers)
        )
    )
    assert status.last_reload.succeeded
    assert 0 <= status.last_reload.commit_spread_seconds <= status.last_reload.duration_seconds
    _, printed = run("status", service)
    assert len(re.findall(rf"^[01] +\d+ +running +{status.version}", printed, re.MULTILINE)) == 2
    assert re.search(r"\d+\.\d MB", printed)


def test_a_pinned_version_is_served_whatever_the_label_names(start, run, volume):
    pinned = labels.read_label(volume, "current")
    newer = models.publish(volume, "b", 2).version
    labels.promote(volume, newer)
    service = start(volume, workers=1, pin=pinned)
    status = service.status()
    assert (status.version, status.label, status.label_target) == (pinned, "", pinned)
    assert f"pinned  to {pinned}" in run("status", service)[1]


def test_a_pinned_version_may_come_later(start, volume):
    pinned = "20301231T235959Z-abcdef"
    service = start(volume, workers=1, pin=pinned, serving=False)
    status = service.wait_until(lambda status: status.failed_versions)
    assert "isn't on the volume" in status.failed_versions[0].reason
    assert not status.version
