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


def test_a_server_whose_lane_lost_its_threads_says_so_unless_it_stops(server):
    assert server.alive
    [lane] = server._own_lanes
    lane.shutdown()
    assert not server.alive
    server.stop(None)
    assert server.alive


def test_a_server_that_lost_the_thread_that_takes_calls_says_so(server):
    # By gRPC's own name for it, which another release may change.
    [taking] = [thread for thread in threading.enumerate() if "_serve" in thread.name]
    taking.is_alive = lambda: False
    assert not server.alive
