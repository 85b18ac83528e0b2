"""Streams whose next request doesn't come."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from trainer.service.idle_streams import IdleStreams

PATIENCE = 30


class Call:
    """A call of requests that are put into it; cancelling it ends them as gRPC does."""

    def __init__(self):
        self.sent = queue.SimpleQueue()
        self.cancelled = threading.Event()

    def peer(self):
        return "ipv4:127.0.0.1:1"

    def cancel(self):
        self.cancelled.set()
        self.sent.put(grpc.RpcError())

    def through(self, streams):
        """The requests, as streams let them through."""
        return streams.requests(self._requests(), self)

    def _requests(self):
        while (request := self.sent.get(timeout=PATIENCE)) is not None:
            if isinstance(request, grpc.RpcError):
                raise request
            yield request


def test_only_those_that_say_nothing_are_cancelled(caplog):
    streams = IdleStreams(0.2)
    silent, busy, handled, another = Call(), Call(), Call(), Call()
    handled.sent.put("slow")
    being_handled = handled.through(streams)
    assert next(being_handled) == "slow"
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(lambda: list(busy.through(streams)))
        ended = pool.submit(lambda: list(silent.through(streams)))
        number = 0
        while not silent.cancelled.wait(0.02):
            busy.sent.put(number)
            number += 1
        busy.sent.put(None)
        assert (reading.result(), ended.result()) == ([*range(number)], [])
    assert not busy.cancelled.is_set()
    # What waits for the service isn't idle.
    assert not handled.cancelled.is_set()
    another.sent.put("one")
    # Cancelled, it ends as one does whose caller leaves.
    assert list(another.through(streams)) == ["one"]
    assert another.cancelled.is_set()
    assert "a stream from ipv4:127.0.0.1:1 sent nothing for 0.2 s: cancelled" in caplog.text
