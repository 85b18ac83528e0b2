"""Lanes: how many calls there are, and who is refused."""

import threading
from types import SimpleNamespace

import grpc
import pytest

from lightfm_retriever.hosting.calls import Calls, refusing_handler
from lightfm_retriever.hosting.serving.admission import Admission
from lightfm_retriever.hosting.serving.lanes import Lane

CALLS, ASK = "package.Calls", "/package.Calls/Ask"
HANDLER = grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def handler_of(admission, method, handler=HANDLER):
    details = SimpleNamespace(method=method, invocation_metadata=())
    return admission.intercept_service(lambda _: handler, details)


@pytest.fixture
def lane():
    lane = Lane("call", limit=2)
    yield lane
    lane.shutdown(cancel_futures=True)


@pytest.fixture
def held(lane):
    event = threading.Event()
    for _ in range(2):
        lane.submit(event.wait)
    yield event
    event.set()
    assert lane.wait_until_empty(10)


def test_a_lane_counts_what_it_runs_and_fails_to(lane, held):
    assert (lane.accepted, lane.in_flight) == (2, 2)
    assert not lane.wait_until_empty(0)
    held.set()
    with pytest.raises(ZeroDivisionError):
        lane.submit(lambda: 1 / 0).result(timeout=10)
    assert lane.wait_until_empty(10)
    lane.shutdown()
    with pytest.raises(RuntimeError):
        lane.submit(print)
    assert (lane.accepted, lane.in_flight) == (4, 0)


def test_a_full_lane_refuses_and_others_do_not(lane, held):
    observed = []
    own = f"/{CALLS}/Status"
    roomy = Lane("roomy", limit=1)
    admission = Admission({CALLS: lane, own: roomy}, observe=lambda *seen: observed.append(seen))
    refusing = handler_of(admission, ASK)
    assert refusing is not HANDLER
    assert refusing.request_streaming, "it would wait for a request that may never come"
    assert handler_of(admission, own).unary_unary.experimental_thread_pool is roomy
    assert handler_of(admission, "/grpc.health.v1.Health/Check") is HANDLER
    # An unknown method stays unknown.
    assert handler_of(admission, f"/{CALLS}/Nothing", None) is None
    held.set()
    assert lane.wait_until_empty(10)
    allowed = handler_of(admission, ASK).unary_unary
    assert allowed.experimental_thread_pool is lane
    assert allowed("request", None) == "request"
    assert lane.refused == 1
    assert observed == [(ASK, grpc.StatusCode.RESOURCE_EXHAUSTED, None)]


def test_calls_that_may_not_be_made_are_observed_by_how_they_are_refused(lane):
    observed = []

    def logged(method, behavior, *, streams):
        return lambda *call: f"{behavior(*call)} {method} {streams}"

    refusing = refusing_handler(lambda _: "refused")
    calls = Calls(guard=lambda _: refusing, of_refusals=(logged,))
    admission = Admission({CALLS: lane}, calls=calls, observe=lambda *seen: observed.append(seen))
    context = SimpleNamespace(code=lambda: grpc.StatusCode.UNAUTHENTICATED)
    assert handler_of(admission, ASK).stream_unary(iter(()), context) == f"refused {ASK} False"
    assert observed == [(ASK, grpc.StatusCode.UNAUTHENTICATED, None)]


def test_calls_that_are_held_count_and_begin_when_they_are_released(lane):
    lane.hold()
    began = threading.Event()
    lane.submit(began.set)
    assert (lane.accepted, lane.in_flight) == (1, 1)
    assert not lane.wait_until_empty(0)
    lane.release()
    assert lane.wait_until_empty(10)
    assert began.is_set()
