"""Sending by a process that is a script of the test's own."""

import sys

import pytest

from trainer.tracking.options import TrackingOptions
from trainer.tracking.sending import send
from trainer.tracking.tracked_run import TrackedRun

SERVER = TrackingOptions(uri="https://u:geheim@h/base/", seconds=30)
RUN = TrackedRun(
    name="r", status="FINISHED", started_ms=1, ended_ms=2, parameters={}, metrics=[], tags={}
)
CREATED = '{"type": "Created", "experiment_id": "1", "run_id": "a b"}'
PAGE = "https://***@h/base/#/experiments/1/runs/a%20b"


@pytest.fixture
def process(tmp_path, monkeypatch):
    """Make the process run a script."""

    def process(script):
        path = tmp_path / "process"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return process


def test_a_run_that_is_sent_has_a_page(process):
    process(f"""cat >/dev/null; echo '{CREATED}'; echo '{{"type": "Sent", "problem": ""}}'""")
    delivery = send(RUN, SERVER)
    assert (delivery.url, delivery.problem) == (PAGE, "")
    assert delivery.told("run r", SERVER.address) == f"note: run r is in MLflow: {PAGE}"


def test_missing_artefacts_are_told_with_the_page(process):
    process(f"""cat >/dev/null; echo '{CREATED}'; echo '{{"type": "Sent", "problem": "no disk"}}'""")
    told = send(RUN, SERVER).told("run r", SERVER.address)
    assert told == (
        f"run r is only in part ({PAGE}) in MLflow at https://***@h/base: its artefacts are missing: "
        "no disk; the run itself isn't affected"
    )


def test_a_process_that_takes_too_long_is_killed_and_what_it_said_counts(process):
    process(f"echo '{CREATED}'; exec sleep 1000")
    delivery = send(RUN, SERVER, seconds=1)
    assert (delivery.url, delivery.problem) == (PAGE, "it took longer than 1 s")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'at http://u:geheim@h: no' >&2; exit 3", "its process failed: at http://***@h: no"),
        ("exit 3", "its process failed: exit status 3"),
        ("kill -9 $$", "its process failed: exit status -9"),
        (f"""echo '{CREATED[:9]}'; echo junk; exit 1""", "its process failed: exit status 1"),
    ],
)
def test_a_process_that_crashes_fails_nothing(process, script, problem):
    process(script)
    delivery = send(RUN, SERVER)
    assert (delivery.url, delivery.problem) == ("", problem)


def test_a_process_that_cannot_start_fails_nothing(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/none/python")
    assert send(RUN, SERVER).problem.startswith("it can't be sent: ")


def test_the_operators_own_variables_reach_the_client(process, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    process('cat >/dev/null; echo "$MLFLOW_HTTP_REQUEST_MAX_RETRIES $MLFLOW_DISABLE_TELEMETRY" >&2')
    assert send(RUN, SERVER).problem == "its process failed: 7 true"
