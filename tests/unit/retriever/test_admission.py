"""Lanes: how many calls there are, and who is refused."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import grpc
import pytest

from retriever.admission import Admission, Lane

CALLS = "package.Calls"
HANDLER = grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def details(method):
    return SimpleNamespace(method=method, invocation_metadata=())


@pytest.fixture
def lane():
    lane = Lane("call", limit=2)
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
    assert allowed.unary_unary("request", None) == "request"
    assert lane.refused == 1


def test_an_unknown_method_stays_unknown(lane):
    admission = Admission({CALLS: lane}, exempt=frozenset())
    assert admission.intercept_service(lambda _: None, details(f"/{CALLS}/Nothing")) is None
