"""A worker's part of a reload, without a parent."""

from __future__ import annotations

import os
import socket

import pytest
from grpc_health.v1 import health_pb2

from publication.id_map import IdMap
from retriever import control, worker
from retriever.config import Config
from retriever.worker import Worker
from tests import publications, retrievable

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Parent:
    """The other end of a worker."""

    def __init__(self, volume):
        self._ours, theirs = socket.socketpair()
        self.worker = Worker(Config(volume=volume, port=0), theirs)

    def tell(self, message):
        """Let it do what it is told, and return what it says."""
        self.worker._obey(message)
        self._ours.setblocking(False)
        try:
            return control.Lines(control.ToParent).feed(self._ours.recv(1 << 16))
        except BlockingIOError:
            return []

    @property
    def health(self):
        request = health_pb2.HealthCheckRequest()
        return self.worker._health.Check(request, None).status

    def close(self):
        self.worker._server.stop(None).wait()
        self._ours.close()


@pytest.fixture
def parent(published):
    made = Parent(published.volume)
    yield made
    made.close()


def test_it_prepares_then_serves(parent, published):
    assert parent.health == NOT_SERVING
    assert parent.tell(control.Prepare(published.version)) == [control.Prepared(published.version)]
    assert (parent.health, parent.worker._current.version) == (NOT_SERVING, "")
    assert parent.tell(control.Commit(published.version)) == [control.Committed(published.version)]
    assert (parent.health, parent.worker._current.version) == (SERVING, published.version)


def test_what_is_abandoned_is_let_go(parent, published):
    parent.tell(control.Prepare(published.version))
    assert parent.tell(control.Abandon()) == []
    assert parent.worker._prepared is None
    with pytest.raises(RuntimeError, match="isn't prepared"):
        parent.tell(control.Commit(published.version))


def test_what_cannot_be_prepared_is_said_and_what_serves_goes_on(parent, published):
    parent.tell(control.Prepare(published.version))
    parent.tell(control.Commit(published.version))
    newer = retrievable.publish(published.volume, seed=2)
    path = published.directory.parent / newer / "items.trie"
    publications.overwrite(path, path.read_bytes()[:-1])
    [failed] = parent.tell(control.Prepare(newer))
    assert isinstance(failed, control.PrepareFailed)
    assert str(path) in failed.reason
    assert (parent.health, parent.worker._current.version) == (SERVING, published.version)


def test_an_error_that_nobody_thought_of_is_said_too_and_not_the_workers_end(parent, published):
    """Otherwise a version of that kind would end all workers at once, again and again."""
    path = published.directory / "items.trie"
    original = IdMap.open(path)
    ids = [original.external_id(row).encode() for row in range(len(original))]
    trie = type(original._trie)([b"\xff\xfe", *ids[1:]])
    publications.reseal(published.directory, "items.trie", trie.tobytes())
    [failed] = parent.tell(control.Prepare(published.version))
    assert isinstance(failed, control.PrepareFailed)
    assert "UnicodeDecodeError" in failed.reason


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, 0), (BrokenPipeError(), 1), (ConnectionResetError(), 1), (KeyError("x"), 1)],
)
def test_the_process_ends_whatever_calls_are_open(monkeypatch, error, status):
    """Python would wait for their threads, and an orphan would go on answering."""
    exits = []

    class Broken:
        def __init__(self, _, parent):
            parent.detach()

        def run(self):
            if error is not None:
                raise error

    monkeypatch.setattr(worker, "Worker", Broken)
    monkeypatch.setattr(worker.logging, "shutdown", lambda: None)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker.logs, "configure", lambda _: None)
    monkeypatch.setattr(os, "_exit", exits.append)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker.main(['{"volume":"/data"}', "0", str(theirs.fileno())])
    assert exits == [status]
