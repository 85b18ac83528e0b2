"""Lanes: how many calls there are, and whose turn it is."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import grpc
import pytest

from retriever.admission import Admission, Lane
from retriever.errors import AbandonedError

CALLS = "package.Calls"
HANDLER = grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def details(method):
    return SimpleNamespace(method=method, invocation_metadata=())


def context(seconds=None):
    return SimpleNamespace(time_remaining=lambda: seconds)


@pytest.fixture
def lane():
    lane = Lane("call", limit=2, at_once=1)
    yield lane
    lane.shutdown(cancel_futures=True)


@pytest.fixture
def held(lane):
    """Two calls that fill the lane, until the event is set."""
    event = threading.Event()
    futures = [lane.submit(event.wait) for _ in range(2)]
    yield event
    event.set()
    for future in futures:
        future.result(timeout=10)


def test_a_lane_counts_what_it_runs(lane, held):
    assert (lane.accepted, lane.in_flight) == (2, 2)
    held.set()
    assert lane.wait_until_empty(10)
    assert (lane.accepted, lane.in_flight) == (2, 0)


def test_a_call_that_fails_has_ended(lane):
    future = lane.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        future.result(timeout=10)
    assert lane.wait_until_empty(10)


def test_a_call_that_cannot_be_run_is_not_in_flight(lane):
    lane.shutdown()
    with pytest.raises(RuntimeError):
        lane.submit(print)
    assert lane.in_flight == 0


def test_waiting_for_an_empty_lane_ends_with_the_time(lane, held):
    assert not lane.wait_until_empty(0)


def test_turns_are_taken_one_after_the_other(lane):
    with lane.turn(context()), pytest.raises(AbandonedError, match="deadline"), lane.turn(context(0)):
        pass
    with lane.turn(context(0)):
        pass


def test_a_turn_that_fails_is_given_back(lane):
    with pytest.raises(ZeroDivisionError), lane.turn(context()):
        _ = 1 / 0
    with lane.turn(context(0)):
        pass


def test_who_waits_gets_the_turn_when_it_is_free(lane):
    """Without a deadline gRPC says that centuries remain."""
    waiting = threading.Event()

    class Waiting:
        def time_remaining(self):
            waiting.set()
            return 9.2e18

    def wait():
        with lane.turn(Waiting()):
            return "its turn"

    with lane.turn(context()):
        future = lane.submit(wait)
        assert waiting.wait(10)
    assert future.result(timeout=10) == "its turn"


def test_a_full_lane_refuses_and_others_do_not(lane, held):
    exempt = f"/{CALLS}/Status"
    admission = Admission({CALLS: lane}, exempt=frozenset({exempt}))

    def handler(method):
        return admission.intercept_service(lambda _: HANDLER, details(method))

    refusing = handler(f"/{CALLS}/Ask")
    assert refusing is not HANDLER
    assert refusing.request_streaming, "it would wait for a request that may never come"
    assert lane.refused == 1
    assert handler(exempt) is HANDLER
    assert handler("/grpc.health.v1.Health/Check") is HANDLER
    held.set()
    assert lane.wait_until_empty(10)
    allowed = handler(f"/{CALLS}/Ask")
    assert allowed.unary_unary.experimental_thread_pool is lane
    assert allowed.unary_unary("request", context()) == "request"
    assert lane.refused == 1


def test_an_unknown_method_stays_unknown(lane):
    admission = Admission({CALLS: lane}, exempt=frozenset())
    assert admission.intercept_service(lambda _: None, details(f"/{CALLS}/Nothing")) is None
