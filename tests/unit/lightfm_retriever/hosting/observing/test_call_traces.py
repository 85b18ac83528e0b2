"""Which calls are traced, and what their spans tell."""

import contextlib
import contextvars
from types import SimpleNamespace
from unittest import mock

import grpc
import pytest

from lightfm_retriever.hosting.observing import request_ids, spans
from lightfm_retriever.hosting.observing.call_traces import CallTraces

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Traced:
    """Calls of a behavior, and the spans that were recorded of them; stands for OpenTelemetry."""

    def __init__(self, behavior, *, share=1.0, streams=False, method="/package.Calls/Ask"):
        self.spans = []
        traces = CallTraces(self, share, lambda response: {"results": response})
        self._around = traces(method, behavior, streams=streams)

    def __call__(self, *metadata, code=None, take=lambda answer: answer):
        context = SimpleNamespace(
            invocation_metadata=lambda: metadata, code=lambda: code, is_active=lambda: True
        )
        return contextvars.copy_context().run(lambda: take(self._around("request", context)))

    @contextlib.contextmanager
    def call_span(self, name, headers, attributes):
        span = SimpleNamespace(name=name, headers=headers, told={**attributes}, status=None)
        span.set_attributes = span.told.update
        span.set_attribute = span.told.__setitem__
        span.set_status = lambda status: setattr(span, "status", status)
        self.spans.append(span)
        yield span

    def ids(self):
        return TRACE, PARENT


def is_traced(*metadata, draw=0.5, **options):
    traced = Traced(lambda *_: 1, **options)
    with mock.patch("random.random", return_value=draw):
        assert traced(*metadata) == 1
    return len(traced.spans) == 1


def parent(flags="01", version="00", trace=TRACE, span=PARENT):
    return "traceparent", f"{version}-{trace}-{span}-{flags}"


def test_a_share_of_the_calls_is_traced_where_the_caller_does_not_say():
    assert [is_traced(share=0.5, draw=draw) for draw in (0.499, 0.5)] == [True, False]
    assert not is_traced(share=0.0, draw=0.0)
    assert not is_traced(method="/grpc.health.v1.Health/Check")


def test_the_caller_decides():
    for header, traced in (
        (parent("01"), True),
        (("traceparent", parent("03", version="cc")[1] + "-more"), True),
        (parent("02"), False),
        # Those that say nothing count as none.
        (("traceparent", ""), None),
        (parent(version="ff"), None),
        (parent(trace="0" * 32), None),
        (parent(span="0" * 16), None),
    ):
        for draw in (0.4, 0.6):
            wanted = draw < 0.5 if traced is None else traced
            assert is_traced(("user-agent", "x"), header, draw=draw, share=0.5) == wanted


FAULTS = ("DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", None)


@pytest.mark.parametrize("code", [*FAULTS, "NOT_FOUND"])
@pytest.mark.parametrize("streams", [False, True])
def test_an_error_is_the_spans_when_the_service_is_at_fault(code, streams):
    def behavior(request, context):
        request_ids.take([("x-request-id", "mine")])
        # What it does within is recorded too.
        assert spans.ids() == (TRACE, PARENT)
        raise ZeroDivisionError

    traced = Traced(behavior, share=0.0, streams=streams)
    with pytest.raises(ZeroDivisionError):
        traced(parent(), ("tracestate", "a=b"), code=code and grpc.StatusCode[code], take=list)
    [span] = traced.spans
    assert span.headers == {"traceparent": parent()[1], "tracestate": "a=b"}
    assert (span.told["request_id"], span.told["rpc.method"]) == ("mine", "Ask")
    assert span.told["rpc.grpc.status_code"] == grpc.StatusCode[code or "UNKNOWN"].value[0]
    assert (span.status is not None) == (code in FAULTS)


def test_a_stream_is_recorded_to_its_end():
    traced = Traced(lambda *_: iter([1, 2]), streams=True)

    def take(responses):
        assert traced.spans == []
        assert next(responses) == 1
        [span] = traced.spans
        assert "rpc.grpc.status_code" not in span.told
        assert [*responses] == [2]
        return span.told["rpc.grpc.status_code"]

    assert traced(take=take) == 0
