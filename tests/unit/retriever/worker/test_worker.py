"""A worker's part of a reload, without a parent."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from retriever import control
from retriever.config import Config
from retriever.worker import worker
from retriever.worker.worker import Worker
from tests import publications, retrievable
from tests.shortages import descriptors_left


class Parent:
    """The other end of a worker."""

    def __init__(self, volume):
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(30)
        self._lines = control.Lines(control.ToParent)
        self._heard = []
        self.worker = Worker(Config(volume=volume, port=0), theirs)
        self.serving = False
        self.worker._server.say_serving = self._note

    def tell(self, message):
        """Let it begin what it is told."""
        self.worker._obey(message)

    def hear(self):
        """The next thing that it says."""
        while not self._heard:
            self._heard += self._lines.feed(self._ours.recv(1 << 16))
        return self._heard.pop(0)

    def silence(self):
        """Check that it has said nothing, now that no thread prepares."""
        for _ in range(worker._MAX_PREPARING):
            assert self.worker._may_prepare.acquire(timeout=30)
        self.worker._may_prepare.release(worker._MAX_PREPARING)
        self._ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            self._ours.recv(1)
        self._ours.settimeout(30)
        assert self._heard == []

    def _note(self, *, serving):
        self.serving = serving

    @property
    def version(self):
        return self.worker._servicer.version

    def close(self):
        self.worker._server.stop(None)
        self._ours.close()


@pytest.fixture
def parent(published):
    made = Parent(published.volume)
    yield made
    made.close()


@pytest.fixture
def hold(monkeypatch):
    """Holds every thread that opens a version, or one version, until it may go on."""
    open_snapshot = worker.open_snapshot

    def hold(only=None):
        opening, go_on = threading.Event(), threading.Event()

        def slow(volume, version):
            if only in (None, version):
                opening.set()
                assert go_on.wait(30)
            return open_snapshot(volume, version)

        monkeypatch.setattr(worker, "open_snapshot", slow)
        return opening, go_on

    return hold


def test_it_prepares_then_serves_and_lets_go_of_what_is_abandoned(parent, published):
    parent.tell(control.Prepare(published.version, 6))
    parent.hear()
    parent.tell(control.Abandon())
    parent.silence()
    assert parent.worker._prepared is None
    with pytest.raises(RuntimeError, match="isn't prepared"):
        parent.tell(control.Commit(published.version))
    parent.tell(control.Prepare(published.version, 7))
    assert parent.hear() == control.Prepared(published.version, 7)
    assert (parent.serving, parent.version) == (False, "")
    before = worker.time.monotonic()
    parent.tell(control.Commit(published.version))
    committed = parent.hear()
    assert committed.version == published.version
    assert before <= committed.at <= worker.time.monotonic()
    assert (parent.serving, parent.version) == (True, published.version)


def test_an_order_that_was_taken_back_is_not_answered_but_the_next_one_is(parent, published, hold):
    """Though it is to prepare the same version."""
    newer = retrievable.publish(published.volume, seed=2)
    opening, go_on = hold()
    parent.tell(control.Prepare(published.version, 1))
    assert opening.wait(30)
    parent.tell(control.Abandon())
    # It is told to do something else meanwhile: the parent mustn't take it for stuck.
    parent.tell(control.ServiceState(label="canary"))
    assert parent.worker._fleet.label == "canary"
    # Not wanted any more either.
    parent.tell(control.Prepare(newer, 2))
    parent.tell(control.Prepare(published.version, 3))
    go_on.set()
    assert parent.hear() == control.Prepared(published.version, 3)
    parent.silence()
    assert parent.worker._prepared.version == published.version


def test_a_version_that_hangs_keeps_no_other_from_being_prepared(parent, published, hold):
    newer = retrievable.publish(published.volume, seed=2)
    _, go_on = hold(only=published.version)
    parent.tell(control.Prepare(published.version, 1))
    parent.tell(control.Abandon())
    parent.tell(control.Prepare(newer, 2))
    assert parent.hear() == control.Prepared(newer, 2)
    go_on.set()
    parent.silence()
    assert parent.worker._prepared.version == newer


def test_versions_that_hang_do_not_pile_up(parent, published, hold):
    _, go_on = hold()
    for order in (1, 2, 3, 4):
        parent.tell(control.Prepare(published.version, order))
    for order in (5, 6):
        parent.tell(control.Prepare(published.version, order))
        failed = parent.hear()
        assert (failed.order, failed.passing) == (order, True)
        assert "still opening 4 earlier versions" in failed.reason
    go_on.set()
    # Only the last order counts, and that was refused.
    parent.silence()
    parent.tell(control.Prepare(published.version, 7))
    assert parent.hear() == control.Prepared(published.version, 7)


def test_what_cannot_be_prepared_is_said_and_what_serves_goes_on(parent, published):
    with descriptors_left(0):
        parent.tell(control.Prepare(published.version, 1))
        failed = parent.hear()
    # That blames no version.
    assert failed.passing
    assert "Too many open files" in failed.reason
    for order in (control.Prepare(published.version, 2), control.Commit(published.version)):
        parent.tell(order)
        assert parent.hear().version == published.version
    newer = retrievable.publish(published.volume, seed=2)
    path = published.directory.parent / newer / "items.trie"
    publications.overwrite(path, path.read_bytes()[:-1])
    parent.tell(control.Prepare(newer, 3))
    failed = parent.hear()
    assert (failed.version, failed.order, failed.passing) == (newer, 3, False)
    assert str(path) in failed.reason
    assert (parent.serving, parent.version) == (True, published.version)


def test_it_says_that_it_booted_and_lives_and_ends_with_its_parent(parent, monkeypatch):
    monkeypatch.setattr(worker, "_BEAT_SECONDS", 0.01)
    running = threading.Thread(target=parent.worker.run)
    running.start()
    said = {type(parent.hear()) for _ in range(2)}
    assert said == {control.Booted, control.Beat}
    assert parent.hear().load.pss_bytes > 0, "measured once, then kept"
    parent._ours.shutdown(socket.SHUT_WR)
    running.join(30)
    assert not running.is_alive()


@pytest.mark.parametrize(("error", "status"), [(None, 0), (BrokenPipeError(), 1), (KeyError("x"), 1)])
def test_the_process_ends_whatever_calls_are_open(monkeypatch, error, status):
    """Python would wait for their threads, and an orphan would go on answering."""
    exits, parents = [], []

    class Broken:
        def __init__(self, _, parent):
            parent.detach()

        def run(self):
            if error is not None:
                raise error

    monkeypatch.setattr(worker, "Worker", Broken)
    monkeypatch.setattr(worker, "die_with", parents.append)
    monkeypatch.setattr(worker.logging, "shutdown", lambda: None)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker.sys, "setswitchinterval", lambda _: None)
    monkeypatch.setattr(worker.logs, "configure", lambda *_: None)
    monkeypatch.setattr(os, "_exit", exits.append)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker.main(['{"volume":"/data"}', "0", str(theirs.fileno()), "4242"])
    assert (exits, parents) == ([status], [4242])


@pytest.mark.parametrize(("alive", "status"), [(True, 0), (False, 1)])
def test_a_process_whose_parent_died_before_it_could_ask_to_die_with_it_ends(alive, status):
    parent = os.getpid() if alive else 1
    code = f"from lightfm_retriever.hosting.process import die_with; die_with({parent})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == status
