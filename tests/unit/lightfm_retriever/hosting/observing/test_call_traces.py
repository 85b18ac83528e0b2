"""Which calls are traced, and what their spans tell."""

from __future__ import annotations

import contextlib
import contextvars

import grpc
import pytest

from lightfm_retriever.hosting.observing import request_ids, spans
from lightfm_retriever.hosting.observing.call_traces import CallTraces

METHOD = "/package.Calls/Ask"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class FakeSpan:
    def __init__(self):
        self.attributes = {}
        self.status = None

    def set_attribute(self, name, value):
        self.attributes[name] = value

    def set_attributes(self, values):
        self.attributes |= values

    def set_status(self, status):
        self.status = status


class FakeTracing:
    def __init__(self):
        self.calls = []

    @contextlib.contextmanager
    def call_span(self, name, headers, attributes):
        span = FakeSpan()
        self.calls.append((name, headers, attributes, span))
        yield span

    def ids(self):
        return TRACE, PARENT


class Context:
    def __init__(self, *metadata, code=None):
        self._metadata = metadata
        self._code = code

    def invocation_metadata(self):
        return self._metadata

    def code(self):
        return self._code

    def is_active(self):
        return True


def call(behavior, context=None, *, share=1.0, draw=0.5, streams=False, method=METHOD):
    """Call a behavior; returns what it answers, and the spans that were recorded."""
    tracing = FakeTracing()
    traces = CallTraces(tracing, share, lambda response: {"results": response}, draw=lambda: draw)
    around = traces(method, behavior, streams=streams)
    run = contextvars.copy_context().run
    return run(lambda: around("request", context or Context())), tracing.calls


def parent(flags="01", version="00", trace=TRACE, span=PARENT):
    return "traceparent", f"{version}-{trace}-{span}-{flags}"


def test_a_share_of_the_calls_is_traced_where_the_caller_does_not_say():
    assert len(call(lambda *_: 1, share=0.5, draw=0.499)[1]) == 1
    assert len(call(lambda *_: 1, share=0.5, draw=0.5)[1]) == 0
    assert len(call(lambda *_: 1, share=0.0, draw=0.0)[1]) == 0
    assert len(call(lambda *_: 1, share=1.0, draw=0.999)[1]) == 1


@pytest.mark.parametrize(
    ("header", "traced"),
    [
        (parent("01"), True),
        (parent("ff"), True),
        (parent("03", version="cc"), True),
        (("traceparent", parent("01", version="01")[1] + "-more"), True),
        (parent("00"), False),
        (parent("02"), False),
    ],
)
def test_the_caller_decides(header, traced):
    context = Context(("user-agent", "x"), header)
    assert len(call(lambda *_: 1, context, share=0.5, draw=0.9 if traced else 0.0)[1]) == traced


@pytest.mark.parametrize(
    "header",
    [
        ("traceparent", ""),
        ("traceparent", "01"),
        parent("zz"),
        parent(version="ff"),
        parent(trace="0" * 32),
        parent(span="0" * 16),
        parent(trace=TRACE.upper()),
    ],
)
def test_a_header_that_says_nothing_counts_as_none(header):
    context = Context(header)
    assert len(call(lambda *_: 1, context, share=0.5, draw=0.4)[1]) == 1
    assert len(call(lambda *_: 1, context, share=0.5, draw=0.6)[1]) == 0


def test_a_span_tells_what_was_called_and_how_it_went():
    def behavior(request, context):
        request_ids.take([("x-request-id", "mine")])
        return 7, spans.ids()

    context = Context(("user-agent", "x"), parent(), ("tracestate", "a=b"))
    tracing = FakeTracing()
    traces = CallTraces(tracing, 0.0, lambda response: {"results": response[0]})
    around = traces(METHOD, behavior, streams=False)
    answer = contextvars.copy_context().run(around, "request", context)
    # What it does within is recorded too.
    assert answer == (7, (TRACE, PARENT))
    [(name, headers, attributes, span)] = tracing.calls
    assert name == "package.Calls/Ask"
    assert headers == {"traceparent": parent()[1], "tracestate": "a=b"}
    assert attributes == {"rpc.system": "grpc", "rpc.service": "package.Calls", "rpc.method": "Ask"}
    assert span.attributes == {"results": 7, "rpc.grpc.status_code": 0, "request_id": "mine"}
    assert span.status is None


@pytest.mark.parametrize(
    ("code", "number", "fault"),
    [
        (grpc.StatusCode.NOT_FOUND, 5, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 8, False),
        (grpc.StatusCode.INTERNAL, 13, True),
        (grpc.StatusCode.UNAVAILABLE, 14, True),
        (None, 2, True),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_an_error_is_the_spans_when_the_service_is_at_fault(code, number, fault, streams):
    tracing = FakeTracing()

    def behavior(request, context):
        raise ZeroDivisionError

    around = CallTraces(tracing, 1.0, dict)(METHOD, behavior, streams=streams)
    with pytest.raises(ZeroDivisionError):
        contextvars.copy_context().run(lambda: [*around("request", Context(code=code))])
    [(*_, span)] = tracing.calls
    assert span.attributes == {"rpc.grpc.status_code": number}
    assert (span.status is not None) == fault


def test_a_stream_is_recorded_to_its_end():
    def behavior(request, context):
        yield 1
        yield 2

    tracing = FakeTracing()
    responses = CallTraces(tracing, 1.0, dict)(METHOD, behavior, streams=True)("request", Context())
    recorded = tracing.calls
    assert recorded == []
    # As gRPC does: all of a call in one context.
    run = contextvars.copy_context().run
    assert run(next, responses) == 1
    [(*_, span)] = recorded
    assert span.attributes == {}
    assert run(list, responses) == [2]
    assert span.attributes == {"rpc.grpc.status_code": 0}


def test_health_checks_are_not_traced():
    assert call(lambda *_: 1, method="/grpc.health.v1.Health/Check")[1] == []
