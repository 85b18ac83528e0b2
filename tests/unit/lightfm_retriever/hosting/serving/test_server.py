"""A server that knows whether it answers still."""

from __future__ import annotations

import contextlib
import threading

import pytest

from lightfm_retriever.hosting.serving.lanes import Lane
from lightfm_retriever.hosting.serving.server import HostedServer


@pytest.fixture
def ended():
    """A thread that has ended."""
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return thread


@pytest.fixture
def server():
    made = HostedServer("some.Service", {"some.Service": Lane("call", limit=2)})
    made.start()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(made.stop, None)
        yield made


def test_the_thread_that_takes_all_calls_is_among_those_that_are_watched(server):
    """By gRPC's own name for it, which another release may change."""
    assert len([thread for thread in server._threads if "_serve" in thread.name]) == 1
    assert server.alive


@pytest.mark.parametrize("threads", ["_threads", "_lanes"])
def test_a_server_that_lost_a_thread_says_so_unless_it_stops(server, ended, threads):
    watched = server._threads if threads == "_threads" else server._lanes["some.Service"]._started
    watched.append(ended)
    assert not server.alive
    server.stop(None)
    assert server.alive
