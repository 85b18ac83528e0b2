"""What an operator uses: probes, the status, a pinned version."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from lightfm_retriever.publication import labels
from tests.load import callers, models


def run(*arguments):
    command = [sys.executable, "-m", "retriever", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("kind", "status"), [("readiness", 1), ("liveness", 0)])
def test_before_anything_is_published_a_service_is_alive_and_not_ready(start, tmp_path, kind, status):
    volume = tmp_path / "volume"
    volume.mkdir()
    service = start(volume, serving=False)
    service.wait_until(lambda status: status.label_problem)
    done = run("health", f"--{kind}", "--target", service.target)
    assert done.returncode == status
    assert "not serving" in done.stdout


@pytest.mark.parametrize("kind", ["readiness", "liveness"])
def test_a_service_that_serves_is_ready_and_alive(start, volume, kind):
    service = start(volume)
    done = run("health", f"--{kind}", "--json", "--target", service.target)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"healthy": True, "serving": True}


@pytest.mark.parametrize("kind", ["readiness", "liveness"])
def test_where_nothing_runs_nothing_is_healthy(kind):
    done = run("health", f"--{kind}", "--target", "127.0.0.1:1", "--timeout", "0.5")
    assert done.returncode == 1
    assert "connection refused: nobody listens at 127.0.0.1:1" in done.stderr


def test_a_pinned_version_is_served_whatever_the_label_names(start, volume):
    pinned = labels.read_label(volume, "current")
    newer = models.publish(volume, "b", 2).version
    labels.promote(volume, newer)
    service = start(volume, pin=pinned)
    status = service.status()
    assert (status.version, status.label, status.label_target) == (pinned, "", pinned)
    assert f"pinned  to {pinned}" in run("status", "--target", service.target).stdout


def test_a_pinned_version_may_come_later(start, volume):
    pinned = "20301231T235959Z-abcdef"
    service = start(volume, pin=pinned, serving=False)
    status = service.wait_until(lambda status: status.failed_versions)
    assert "isn't on the volume" in status.failed_versions[0].reason
    assert not status.version


def test_the_status_tells_of_calls_and_memory(start, volume):
    service = start(volume, workers=2)
    with callers.connection(service.target) as ask:
        for _ in range(30):
            ask("SimilarItems", models.ITEM_IDS[0])
    status = service.wait_until(
        lambda status: (
            sum(worker.calls for worker in status.workers) == 30
            and all(worker.pss_bytes for worker in status.workers)
        )
    )
    for worker in status.workers:
        assert 1 << 20 < worker.pss_bytes < 1 << 30
        assert worker.started_at.seconds <= worker.serving_since.seconds
    assert status.last_reload.succeeded
    assert 0 <= status.last_reload.commit_spread_seconds <= status.last_reload.duration_seconds
    printed = run("status", "--target", service.target).stdout
    assert len(re.findall(rf"^[01] +\d+ +running +{status.version}", printed, re.MULTILINE)) == 2
    assert re.search(r"\d+\.\d MB", printed)
