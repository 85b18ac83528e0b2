"""A worker as the parent sees it, with a socket but without a process."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from retriever import control, worker_process
from retriever.config import Config
from retriever.worker_process import WorkerProcess


class Process:
    """Stands for `subprocess.Popen`."""

    def __init__(self, command, *, pass_fds, **_):
        self.command = command
        # The descriptor that the child inherits; the parent closes its own.
        self.theirs = socket.socket(fileno=socket.dup(pass_fds[0]))
        self.pid = 4242
        self.signals = []
        self.status = -9

    def send_signal(self, number):
        self.signals.append(number)

    def wait(self, timeout=None):  # noqa: ARG002
        return self.status


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", Process)
    made = WorkerProcess(3, Config(volume=Path("/data/volume")))
    made.start()
    yield made
    process = made._process
    made.bury()
    if process is not None:
        process.theirs.close()


def said(worker, *messages):
    for message in messages:
        control.send(worker._process.theirs, message)


def heard(worker):
    messages, alive = worker.receive()
    for message in messages:
        worker.note(message)
    return messages, alive


def test_it_starts_a_fresh_interpreter_with_its_number_and_settings(worker):
    _, dash_m, module, config, index, descriptor = worker._process.command
    assert (dash_m, module, index) == ("-m", "retriever.worker", "3")
    assert '"/data/volume"' in config
    assert descriptor.isdigit()
    assert (worker.state, worker.pid, worker.idle) == ("starting", 4242, False)


def test_a_life(worker):
    said(worker, control.Booted())
    assert heard(worker) == ([control.Booted()], True)
    assert (worker.state, worker.ever_ran, worker.idle) == ("running", True, True)
    worker.prepare("v1")
    assert (worker.preparing, worker.prepared, worker.idle) == ("v1", None, False)
    said(worker, control.Prepared("v1"))
    heard(worker)
    assert (worker.preparing, worker.prepared, worker.idle) == (None, "v1", False)
    worker.commit("v1")
    assert worker.version is None
    said(worker, control.Committed("v1"))
    heard(worker)
    assert (worker.version, worker.prepared, worker.idle) == ("v1", None, True)
    facts = worker.facts()
    assert (facts.index, facts.pid, facts.state, facts.version) == (3, 4242, "running", "v1")
    assert facts.serving_since >= facts.started_at > 0
    told = control.Lines(control.ToWorker).feed(worker._process.theirs.recv(1 << 16))
    assert told == [control.Prepare("v1"), control.Commit("v1")]


def test_a_failure_to_prepare_leaves_it_idle_with_what_it_serves(worker):
    said(worker, control.Booted())
    heard(worker)
    worker.version = "v1"
    worker.prepare("v2")
    said(worker, control.PrepareFailed("v2", "broken"))
    heard(worker)
    assert (worker.idle, worker.version) == (True, "v1")


@pytest.mark.parametrize("late", [control.Prepared("v1"), control.PrepareFailed("v1", "broken")])
def test_an_answer_to_what_was_abandoned_is_not_taken_for_the_answer_to_what_was_asked_again(
    worker, late
):
    said(worker, control.Booted())
    heard(worker)
    worker.prepare("v1")
    worker.abandon()
    worker.prepare("v1")
    said(worker, late)
    heard(worker)
    assert (worker.preparing, worker.prepared) == ("v1", None)
    said(worker, control.Prepared("v1"))
    heard(worker)
    assert (worker.preparing, worker.prepared) == (None, "v1")


def test_receiving_never_waits(worker):
    assert worker.receive() == ([], True)


def test_what_it_said_last_is_heard_before_its_end(worker):
    said(worker, control.Booted(), control.Prepared("v1"))
    worker._process.theirs.close()
    assert worker.receive() == ([control.Booted(), control.Prepared("v1")], True)
    assert worker.receive() == ([], False)


def test_a_worker_that_never_reads_is_killed_and_not_waited_for(worker):
    fleet = control.Fleet(label="x" * 10_000)
    sent = 0
    while not worker._process.signals:
        worker.send(fleet)
        sent += 1
        assert sent < 1000
    assert worker._process.signals == [worker_process.signal.SIGKILL]
    # A few messages must fit, or one that is busy with preparing would be killed for it.
    assert sent > 10


def test_a_worker_that_is_gone_is_killed_by_the_next_message(worker):
    worker._process.theirs.close()
    worker.send(control.Abandon())
    assert worker._process.signals == [worker_process.signal.SIGKILL]


def test_burying_it_forgets_what_it_did_and_tells_its_exit_status(worker):
    said(worker, control.Booted())
    heard(worker)
    worker.version, worker.prepared = "v1", "v2"
    process = worker._process
    assert worker.bury() == -9
    process.theirs.close()
    assert (worker.state, worker.pid, worker.connection) == ("down", 0, None)
    assert (worker.version, worker.preparing, worker.prepared) == (None, None, None)
    assert worker.facts() == control.WorkerFacts(3, 0, "down", "", 0, 0, 0)
    # It was there, which tells a crash from a worker that can't boot.
    assert worker.ever_ran
    worker.send(control.Abandon())
    assert worker.receive() == ([], False)
    assert worker.bury() == 0
