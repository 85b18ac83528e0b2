"""A worker as the parent sees it, with a socket but without a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from unittest import mock

import pytest

from lightfm_retriever.hosting.process import STOPPING
from retriever import control
from retriever.config import Config
from retriever.counters import Counters
from retriever.parent.worker_process import WorkerProcess
from retriever.version_files import FileState
from tests.clock import Clock

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
# More than a socket's buffer holds.
MANY_FILES = {f"{number}.npy": FileState(number, 1, 2, 3) for number in range(20_000)}


class Process:
    """Stands for `subprocess.Popen`; `latest` is the other end of the one that was started last."""

    latest: Process

    def __init__(self, command, *, pass_fds, env, **_):
        assert {*STOPPING} <= signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self.command, self.passed, self.environment = command, pass_fds, env
        # The descriptor that the child inherits; the parent closes its own.
        self.socket = socket.socket(fileno=socket.dup(pass_fds[0]))
        self.pid, self.signals, self.hangs = 4242, [], False
        Process.latest = self

    def send_signal(self, number):
        self.signals.append(number)

    def kill(self):
        self.send_signal(signal.SIGKILL)
        self.hangs = False

    def wait(self, timeout=None):
        if self.hangs:
            raise subprocess.TimeoutExpired("worker", timeout)
        return -9


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def worker(monkeypatch, clock):
    monkeypatch.setattr(subprocess, "Popen", Process)
    made = WorkerProcess(3, Config(volume=Path("/data/volume")), clock=clock)
    made.start()
    yield made
    made.bury()
    Process.latest.socket.close()


@pytest.fixture
def running(worker):
    """A worker that takes calls."""
    hears(worker, control.Booted(), control.Listening())
    return worker


def hears(worker, *messages):
    """Let it say something; returns which of it counts."""
    Process.latest.socket.sendall(b"".join(map(control.encoded, messages)))
    received, alive = worker.receive()
    assert (received, alive) == ([*messages], True)
    return [worker.note(message) for message in received]


def told():
    """What the process finds."""
    return control.Lines(control.ToWorker).feed(Process.latest.socket.recv(1 << 16))


def restart(worker):
    Process.latest.socket.close()
    worker.bury()
    worker.start()


def state(worker):
    view = worker.view
    return view.state, view.version, view.preparing, view.prepared, view.committing


def test_it_starts_a_fresh_interpreter_with_its_number_settings_and_counters(worker):
    counters = Counters.create()
    counting = WorkerProcess(5, Config(volume=Path("/data/volume")), counters=counters)
    for made, last in ((worker, []), (counting, [str(counters.descriptor)])):
        restart(made)
        _, dash_m, module, config, index, *others = Process.latest.command
        assert (dash_m, module, index) == ("-m", "retriever.worker.worker", str(made.index))
        assert '"/data/volume"' in config
        passed = [str(number) for number in Process.latest.passed]
        assert (others, passed[1:]) == ([passed[0], str(os.getpid()), *last], last)
        assert (made.view.state, made.pid, made.view.up) == ("starting", 4242, False)
    assert not {*STOPPING} & signal.pthread_sigmask(signal.SIG_BLOCK, [])
    Process.latest.socket.close()
    counting.bury()


@pytest.mark.parametrize("given", [{}, *({name: value} for name in THREADS for value in ("4", ""))])
def test_its_matrix_products_have_one_thread_unless_told(worker, given):
    others = {name: value for name, value in os.environ.items() if name not in THREADS}
    with mock.patch.dict(os.environ, {**others, **given, "RETRIEVER_TEST": "é"}, clear=True):
        restart(worker)
        assert Process.latest.environment == {**dict.fromkeys(THREADS, "1"), **os.environ}


def test_a_life(worker, clock):
    assert hears(worker, control.Booted()) == [True]
    assert (worker.ever_ran, worker.view.up, worker.view.waits) == (False, True, True)
    worker.tell(control.Prepare("v1"))
    assert state(worker) == ("booted", None, "v1", None, None)
    clock.now += 5
    # That it lives doesn't mean that it gets on.
    hears(worker, control.Beat(control.Load()))
    assert worker.preparing_seconds() == 5
    assert hears(worker, control.Prepared("v1", 1)) == [True]
    assert (state(worker), worker.preparing_seconds()) == (("booted", None, None, "v1", None), 0)
    worker.tell(control.Commit("v1"))
    assert state(worker) == ("booted", None, None, None, "v1")
    assert worker.facts().serving_since == 0
    assert hears(worker, control.Committed("v1", 0.5)) == [True]
    assert state(worker) == ("booted", "v1", None, None, None)
    worker.tell(control.Listen())
    assert (worker.ever_ran, worker.view.waits) == (False, False)
    load = control.Load(calls=5, refused=1, in_flight=2, pss_bytes=1 << 20)
    assert hears(worker, control.Listening(), control.Beat(load)) == [True, True]
    assert (worker.ever_ran, worker.view.up) == (True, True)
    facts = worker.facts()
    times = facts.started_at, facts.serving_since
    assert facts == control.WorkerFacts(3, 4242, "running", "v1", *times, 0, load)
    assert times[1] >= times[0] > 0
    worker.tell(control.Prepare("v2"))
    assert worker.preparing_seconds() == 0
    assert hears(worker, control.PrepareFailed("v2", 2, "broken")) == [True]
    assert state(worker) == ("running", "v1", None, None, None)
    orders = [control.Prepare("v1", 1), control.Commit("v1"), control.Listen()]
    assert told() == [*orders, control.Prepare("v2", 2)]


def test_an_answer_to_what_was_abandoned_counts_no_more(running):
    late = control.Prepared("v1", 1), control.PrepareFailed("v1", 1, "broken")
    running.tell(control.Prepare("v1"))
    running.tell(control.Abandon())
    nothing = ("running", None, None, None, None)
    assert (hears(running, *late), state(running)) == ([False, False], nothing)
    # Also when the same was asked again.
    running.tell(control.Prepare("v1"))
    assert (hears(running, *late), state(running)[2:4]) == ([False, False], ("v1", None))
    assert (hears(running, control.Prepared("v1", 2)), state(running)[2:4]) == ([True], (None, "v1"))
    running.tell(control.Abandon())
    assert state(running) == nothing


def test_whatever_it_says_shows_that_it_lives(worker, clock):
    clock.now += 61
    assert worker.silent_seconds() == 61
    hears(worker, control.Beat(control.Load()))
    clock.now += 2
    assert worker.silent_seconds() == 2
    worker.bury()
    assert worker.silent_seconds() == 0
    # The next one begins anew.
    restart(worker)
    assert worker.silent_seconds() == 0
    assert worker.receive() == ([], True)
    # What no worker says is its end.
    Process.latest.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert worker.receive() == ([], False)
    assert Process.latest.signals == [signal.SIGKILL]


def test_a_process_that_cannot_be_started_leaves_nothing_behind(monkeypatch, clock):
    monkeypatch.setattr(subprocess, "Popen", mock.Mock(side_effect=OSError(12, "Cannot allocate")))
    worker = WorkerProcess(0, Config(volume=Path("/data")), clock=clock)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Cannot allocate"):
        worker.start()
    assert (worker.view.state, worker.pid, worker.connection) == ("down", 0, None)
    assert len(os.listdir("/proc/self/fd")) == before
    assert not {*STOPPING} & signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_what_it_said_last_is_heard_before_its_end(worker):
    hears(worker, control.Booted())
    Process.latest.socket.sendall(control.encoded(control.Prepared("v1", 1)))
    Process.latest.socket.close()
    assert worker.receive() == ([control.Prepared("v1", 1)], True)
    assert worker.receive() == ([], False)
    # The next message is its end.
    worker.send(control.Abandon())
    assert Process.latest.signals == [signal.SIGKILL]
    restart(worker)
    # So is a process that never reads, once there is no room: a few messages must fit.
    sent = 0
    while not Process.latest.signals and sent < 1000:
        worker.send(control.ServiceState(label="x" * 10_000))
        sent += 1
    assert (Process.latest.signals, sent > 10) == ([signal.SIGKILL], True)


def test_a_message_that_does_not_fit_yet_is_sent_on_but_to_no_other_process(running):
    for message in (control.Prepare("v1", files=MANY_FILES), control.Abandon()):
        running.tell(message)
    lines, came = control.Lines(control.ToWorker), []
    while len(came) < 2:
        # It beats once a second.
        hears(running, control.Beat(control.Load()))
        came += lines.feed(Process.latest.socket.recv(1 << 16))
    assert came == [control.Prepare("v1", 1, MANY_FILES), control.Abandon()]
    assert not Process.latest.signals
    # The next one has nothing to do with what this one half read or said.
    running.tell(control.Prepare("v1", files=MANY_FILES))
    Process.latest.socket.sendall(b'{"type":"Boo')
    assert running.receive() == ([], True)
    restart(running)
    hears(running, control.Booted())
    # It is to be told to take calls, too, and a number means one order.
    running.tell(control.Listen())
    running.tell(control.Prepare("v1"))
    assert told() == [control.Listen(), control.Prepare("v1", 3)]


@pytest.mark.parametrize("hangs", [False, True])
def test_burying_it_forgets_what_it_did_and_tells_its_exit_status(running, hangs):
    running.tell(control.Prepare("v1"))
    running.load = control.Load(calls=7)
    Process.latest.hangs = hangs
    assert running.bury() == -9
    assert Process.latest.signals == [signal.SIGKILL] * hangs
    assert (state(running), running.pid, running.connection) == (("down", *[None] * 4), 0, None)
    assert running.facts() == control.WorkerFacts(3, 0, "down", "", 0, 0, 0)
    # It was there, which tells a crash from a worker that can't boot.
    assert running.ever_ran
    running.send(control.Abandon())
    running.kill()
    assert running.receive() == ([], False)
    assert running.bury() == 0
