"""Streams whose next request doesn't come."""

from __future__ import annotations

import queue
import threading

import grpc
import pytest

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

    def __iter__(self):
        return self

    def __next__(self):
        request = self.sent.get(timeout=PATIENCE)
        if isinstance(request, grpc.RpcError):
            raise request
        if request is None:
            raise StopIteration
        return request


@pytest.fixture
def call():
    return Call()


@pytest.mark.parametrize("end", [None, grpc.RpcError()])
def test_requests_come_through_until_they_end_or_the_caller_leaves(call, end):
    for request in ("one", "two", end):
        call.sent.put(request)
    assert list(IdleStreams(PATIENCE).requests(call, call)) == ["one", "two"]
    assert not call.cancelled.is_set()


def test_each_that_says_nothing_is_cancelled_and_ends(caplog):
    streams = IdleStreams(0.05)
    for _ in range(2):
        call = Call()
        call.sent.put("one")
        assert list(streams.requests(call, call)) == ["one"]
        assert call.cancelled.is_set()
    assert "a stream from ipv4:127.0.0.1:1 sent nothing for 0.05 s: cancelled" in caplog.text


def test_only_the_one_that_says_nothing_is_cancelled():
    streams = IdleStreams(0.2)
    silent, busy, handled = Call(), Call(), Call()
    handled.sent.put("slow")
    being_handled = streams.requests(handled, handled)
    assert next(being_handled) == "slow"
    got = []
    reader = threading.Thread(target=lambda: got.extend(streams.requests(busy, busy)))
    reader.start()
    ended = threading.Thread(target=lambda: list(streams.requests(silent, silent)))
    ended.start()
    number = 0
    while not silent.cancelled.wait(0.02):
        busy.sent.put(number)
        number += 1
    busy.sent.put(None)
    reader.join(PATIENCE)
    ended.join(PATIENCE)
    assert got == list(range(number))
    assert not busy.cancelled.is_set()
    # What waits for the service isn't idle.
    assert not handled.cancelled.is_set()
