"""A server that knows whether it answers still."""

import threading

import pytest

from lightfm_retriever.hosting.serving.lanes import Lane
from lightfm_retriever.hosting.serving.server import HostedServer


@pytest.fixture
def server():
    made = HostedServer("some.Service", {"some.Service": Lane("call", limit=2)})
    made.start()
    yield made
    made.stop(None)


@pytest.mark.parametrize("of_lane", [False, True])
def test_a_server_that_lost_a_thread_says_so_unless_it_stops(server, of_lane):
    # By gRPC's own name for the one that takes all calls, which another release may change.
    assert len([thread for thread in server._threads if "_serve" in thread.name]) == 1
    assert server.alive
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    (server._lanes["some.Service"]._started if of_lane else server._threads).append(ended)
    assert not server.alive
    server.stop(None)
    assert server.alive
