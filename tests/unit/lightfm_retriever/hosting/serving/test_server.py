"""A server that knows whether it answers still."""

import threading
from unittest import mock

from lightfm_retriever.hosting.serving.lanes import Lane
from lightfm_retriever.hosting.serving.server import HostedServer


def test_a_server_that_lost_a_thread_says_so_unless_it_stops():
    server = HostedServer("some.Service", {"some.Service": Lane("call", limit=2)})
    server.start()
    assert server.alive
    # By gRPC's own name for the one that takes calls, which another release may change.
    [taking] = [thread for thread in threading.enumerate() if "_serve" in thread.name]
    with mock.patch.object(taking, "is_alive", return_value=False):
        assert not server.alive
    assert server.alive
    [lane] = server._own_lanes
    lane.shutdown()
    assert not server.alive
    server.stop(None)
    assert server.alive
