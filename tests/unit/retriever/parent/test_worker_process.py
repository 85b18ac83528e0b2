"""A worker as the parent sees it, with a socket but without a process."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from retriever import control
from retriever.config import Config
from retriever.parent import worker_process
from retriever.parent.worker_process import WorkerProcess
from retriever.version_files import FileState
from tests.clock import Clock


class Process:
    """Stands for `subprocess.Popen`."""

    def __init__(self, command, *, pass_fds, env, **_):
        self.command = command
        self.environment = env
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
def clock():
    return Clock(1000.0)


@pytest.fixture
def worker(monkeypatch, clock):
    monkeypatch.setattr(subprocess, "Popen", Process)
    made = WorkerProcess(3, Config(volume=Path("/data/volume")), clock=clock)
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
    """What it said and which of it counts, and whether it is there."""
    messages, alive = worker.receive()
    return [(message, worker.note(message)) for message in messages], alive


def told(worker):
    return control.Lines(control.ToWorker).feed(worker._process.theirs.recv(1 << 16))


@pytest.fixture
def running(worker):
    """A worker that takes calls."""
    said(worker, control.Booted(), control.Listening())
    heard(worker)
    return worker


def test_it_starts_a_fresh_interpreter_with_its_number_and_settings(worker):
    _, dash_m, module, config, index, descriptor, parent = worker._process.command
    assert (dash_m, module, index, parent) == ("-m", "retriever.worker.worker", "3", str(os.getpid()))
    assert '"/data/volume"' in config
    assert descriptor.isdigit()
    assert (worker.state, worker.pid, worker.up) == ("starting", 4242, False)


THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def environment_of_a_new_one():
    """What its process is given."""
    made = WorkerProcess(3, Config(volume=Path("/data/volume")), clock=Clock(1000.0))
    made.start()
    process = made._process
    made.bury()
    process.theirs.close()
    return process.environment


def test_its_matrix_products_have_one_thread_and_all_else_is_ours(monkeypatch):
    """Calls share the cores already."""
    monkeypatch.setattr(subprocess, "Popen", Process)
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RETRIEVER_TEST", "é")
    assert environment_of_a_new_one() == {**os.environ, **dict.fromkeys(THREADS, "1")}
    # Its parent's stays as it was.
    assert not {*THREADS} & {*os.environ}


@pytest.mark.parametrize("name", THREADS)
@pytest.mark.parametrize("value", ["4", "1", ""])
def test_a_number_of_threads_that_is_set_is_kept(monkeypatch, name, value):
    monkeypatch.setattr(subprocess, "Popen", Process)
    for each in THREADS:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    given = environment_of_a_new_one()
    assert {each: given[each] for each in THREADS} == {**dict.fromkeys(THREADS, "1"), name: value}


def test_a_life(worker):
    said(worker, control.Booted())
    assert heard(worker) == ([(control.Booted(), True)], True)
    assert (worker.state, worker.ever_ran, worker.up) == ("booted", False, True)
    worker.prepare("v1", {})
    assert (worker.preparing, worker.prepared) == ("v1", None)
    said(worker, control.Prepared("v1", 1))
    heard(worker)
    assert (worker.preparing, worker.prepared) == (None, "v1")
    worker.commit("v1")
    assert (worker.version, worker.prepared, worker.committing) == (None, None, "v1")
    said(worker, control.Committed("v1", 0.5))
    heard(worker)
    assert (worker.version, worker.prepared, worker.committing) == ("v1", None, None)
    worker.listen()
    assert (worker.state, worker.ever_ran) == ("booted", False)
    said(worker, control.Listening())
    heard(worker)
    assert (worker.state, worker.ever_ran, worker.up) == ("running", True, True)
    load = control.Load(calls=5, refused=1, in_flight=2, pss_bytes=1 << 20)
    said(worker, control.Beat(load))
    heard(worker)
    facts = worker.facts()
    assert (facts.index, facts.pid, facts.state, facts.version) == (3, 4242, "running", "v1")
    assert facts.serving_since >= facts.started_at > 0
    assert facts.load == load
    assert told(worker) == [control.Prepare("v1", 1), control.Commit("v1"), control.Listen()]


def test_it_is_told_once_to_listen_and_not_before_it_booted(worker):
    worker.listen()
    said(worker, control.Booted())
    heard(worker)
    worker.listen()
    worker.listen()
    said(worker, control.Listening())
    heard(worker)
    worker.listen()
    worker.send(control.Abandon())
    assert told(worker) == [control.Listen(), control.Abandon()]


def test_a_failure_to_prepare_leaves_it_idle_with_what_it_serves(running):
    running.version = "v1"
    running.prepare("v2", {})
    said(running, control.PrepareFailed("v2", 1, "broken"))
    [(_, counts)], _ = heard(running)
    assert counts
    assert (running.preparing, running.prepared, running.version) == (None, None, "v1")


@pytest.mark.parametrize(
    "late", [control.Prepared("v1", 1), control.PrepareFailed("v1", 1, "broken")], ids=["yes", "no"]
)
def test_an_answer_to_what_was_abandoned_is_not_taken_for_the_answer_to_what_was_asked_again(
    running, late
):
    running.prepare("v1", {})
    running.abandon()
    said(running, late)
    assert heard(running) == ([(late, False)], True)
    assert (running.preparing, running.prepared) == (None, None)
    running.prepare("v1", {})
    said(running, late)
    assert heard(running) == ([(late, False)], True)
    assert (running.preparing, running.prepared) == ("v1", None)
    said(running, control.Prepared("v1", 2))
    assert heard(running) == ([(control.Prepared("v1", 2), True)], True)
    assert (running.preparing, running.prepared) == (None, "v1")


def test_orders_have_other_numbers_also_for_the_next_process(worker):
    """What its predecessor wrote is gone with the socket, but a number should mean one order."""
    worker.prepare("v1", {})
    [first] = told(worker)
    process = worker._process
    worker.bury()
    process.theirs.close()
    worker.start()
    worker.prepare("v1", {})
    [second] = told(worker)
    assert second.order > first.order


@pytest.mark.parametrize(
    "message",
    [
        control.Beat(control.Load()),
        control.Booted(),
        control.Listening(),
        control.Prepared("v1", 99),
        control.Committed("v1", 0.0),
    ],
    ids=lambda message: type(message).__name__,
)
def test_whatever_it_says_shows_that_it_lives(worker, clock, message):
    clock.now += 61
    assert worker.silent_seconds() == 61
    said(worker, message)
    heard(worker)
    assert worker.silent_seconds() == 0
    clock.now += 2
    assert worker.silent_seconds() == 2


def test_one_that_is_down_is_not_silent_and_the_next_begins_anew(worker, clock):
    process = worker._process
    clock.now += 10
    worker.bury()
    process.theirs.close()
    assert worker.silent_seconds() == 0
    clock.now += 10
    worker.start()
    assert worker.silent_seconds() == 0


def test_it_is_known_how_long_it_has_been_preparing(running, clock):
    assert running.preparing_seconds() == 0
    running.prepare("v1", {})
    clock.now += 5
    # That it lives doesn't mean that it gets on.
    said(running, control.Beat(control.Load()))
    heard(running)
    assert running.preparing_seconds() == 5
    running.prepare("v2", {})
    assert running.preparing_seconds() == 0
    clock.now += 3
    said(running, control.Prepared("v2", 2))
    heard(running)
    assert running.preparing_seconds() == 0


def test_what_no_worker_says_is_its_end(running):
    running._process.theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert running.receive() == ([], False)
    assert running._process.signals == [worker_process.signal.SIGKILL]


def test_a_process_that_cannot_be_started_leaves_nothing_behind(monkeypatch, clock):
    def no_memory(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", no_memory)
    worker = WorkerProcess(0, Config(volume=Path("/data")), clock=clock)
    before = len(os.listdir("/proc/self/fd"))
    blocked = worker_process.signal.pthread_sigmask(worker_process.signal.SIG_BLOCK, [])
    with pytest.raises(OSError, match="Cannot allocate"):
        worker.start()
    assert (worker.state, worker.pid, worker.connection) == ("down", 0, None)
    assert len(os.listdir("/proc/self/fd")) == before
    assert worker_process.signal.pthread_sigmask(worker_process.signal.SIG_BLOCK, []) == blocked


def test_receiving_never_waits(worker):
    assert worker.receive() == ([], True)


def test_what_it_said_last_is_heard_before_its_end(worker):
    said(worker, control.Booted(), control.Prepared("v1", 1))
    worker._process.theirs.close()
    assert worker.receive() == ([control.Booted(), control.Prepared("v1", 1)], True)
    assert worker.receive() == ([], False)


def test_a_worker_that_never_reads_is_killed_and_not_waited_for(worker):
    fleet = control.ServiceState(label="x" * 10_000)
    sent = 0
    while not worker._process.signals:
        worker.send(fleet)
        sent += 1
        assert sent < 1000
    assert worker._process.signals == [worker_process.signal.SIGKILL]
    # A few messages must fit, or one that is busy with preparing would be killed for it.
    assert sent > 10


def test_a_message_that_does_not_fit_yet_is_sent_on_when_the_worker_is_heard(running):
    """It serves, and is busy: what it is told about another version is no reason to end it."""
    files = {f"{number}.npy": FileState(number, 1, 2, 3) for number in range(20_000)}
    running.prepare("v1", files)
    running.listen()
    running.abandon()
    lines, came = control.Lines(control.ToWorker), []
    while len(came) < 2:
        # It beats once a second.
        said(running, control.Beat(control.Load()))
        assert heard(running)[1]
        came += lines.feed(running._process.theirs.recv(1 << 16))
    assert came == [control.Prepare("v1", 1, files), control.Abandon()]
    assert not running._process.signals


def test_a_new_process_is_not_told_what_its_predecessor_did_not_read(running):
    files = {f"{number}.npy": FileState(number, 1, 2, 3) for number in range(20_000)}
    running.prepare("v1", files)
    process = running._process
    running.bury()
    process.theirs.close()
    running.start()
    running.abandon()
    assert told(running) == [control.Abandon()]


def test_a_worker_that_is_gone_is_killed_by_the_next_message(worker):
    worker._process.theirs.close()
    worker.send(control.Abandon())
    assert worker._process.signals == [worker_process.signal.SIGKILL]


def test_burying_it_forgets_what_it_did_and_tells_its_exit_status(running):
    running.version, running.prepared, running.committing = "v1", "v2", "v3"
    running.load = control.Load(calls=7)
    process = running._process
    assert running.bury() == -9
    process.theirs.close()
    assert (running.state, running.pid, running.connection) == ("down", 0, None)
    assert (running.version, running.preparing, running.prepared) == (None, None, None)
    assert running.committing is None
    assert running.facts() == control.WorkerFacts(3, 0, "down", "", 0, 0, 0)
    # It was there, which tells a crash from a worker that can't boot.
    assert running.ever_ran
    running.send(control.Abandon())
    assert running.receive() == ([], False)
    assert running.bury() == 0
    # The next one is to be told to listen, too.
    running.start()
    said(running, control.Booted())
    heard(running)
    running.listen()
    assert told(running) == [control.Listen()]
