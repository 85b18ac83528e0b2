"""Spans as a receiver gets them."""

import contextvars
import importlib.util
import logging
import threading

import pytest

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.observing.otel import Tracing
from lightfm_retriever.hosting.observing.trace_settings import TraceSettings
from tests.otlp import Receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}


@pytest.fixture(autouse=True)
def _opentelemetrys_logger():
    theirs = logging.getLogger("opentelemetry")
    before = theirs.handlers, theirs.propagate, theirs.level
    yield
    theirs.handlers, theirs.propagate, theirs.level = before


def tracing_to(receiver):
    return Tracing(receiver.url, service="tests", role="worker 0")


def in_a_call(tracing, do):
    def call():
        with tracing.call_span("package.Calls/Ask", HEADERS, {"rpc.system": "grpc"}):
            spans.record_with(tracing)
            return do()

    return contextvars.copy_context().run(call)


def test_spans_belong_together_and_to_the_callers_trace():
    def search():
        with spans.span("search", questions=2), spans.span("filter"):
            return spans.traceparent()

    with Receiver() as receiver:
        tracing = tracing_to(receiver)
        innermost = in_a_call(tracing, search)
        with tracing.run_span("training run", innermost, {"training_run": "r1"}):
            pass
        tracing.close(30)
        call, search, filter_, run = receiver.trace(TRACE)
    assert [(span.name, span.parent_id) for span in (call, search, filter_, run)] == [
        ("package.Calls/Ask", PARENT),
        ("search", call.span_id),
        ("filter", search.span_id),
        ("training run", filter_.span_id),
    ]
    assert run.attributes == {"training_run": "r1"}
    assert call.kind == 2  # SPAN_KIND_SERVER
    assert call.state == "vendor=1"
    assert search.attributes == {"questions": 2}


def test_a_receiver_that_does_not_answer_holds_up_nobody():
    released, left = threading.Event(), threading.Event()

    class Silent(Receiver):
        def Export(self, request, context):  # noqa: N802
            context.add_callback(left.set)
            released.wait(30)
            return super().Export(request, context)

    with Silent() as receiver:
        tracing = tracing_to(receiver)
        in_a_call(tracing, lambda: None)
        tracing.close(0.05)
        # It still waits for an answer, but this doesn't.
        assert not left.is_set()
        released.set()


def test_without_the_extra_the_service_does_not_start(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", {"opentelemetry.sdk": "there"}.get)
    assert TraceSettings().endpoint is None
    with pytest.raises(HostingError, match=r"pip install 'lightfm-retriever\[otlp\]'"):
        TraceSettings(endpoint="http://127.0.0.1:4317")


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        *(("endpoint", url, "--otlp-endpoint") for url in ("127.0.0.1:4317", "ftp://x", "http://")),
        *(("endpoint", url, "--otlp-endpoint") for url in ("http://[::1", "http://a:0")),
        *(("share", share, "--trace-share") for share in (-0.1, 1.1, float("nan"))),
    ],
)
def test_an_endpoint_is_a_url_and_a_share_is_between_none_and_all(name, value, flag):
    with pytest.raises(HostingError, match=flag):
        TraceSettings(**{name: value})
