"""Spans as a receiver gets them."""

import threading

import pytest

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.observing.otel import Tracing
from lightfm_retriever.hosting.observing.trace_settings import TraceSettings
from tests.otlp import Receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
URLS = ("127.0.0.1:4317", "ftp://x", "http://", "http://[::1", "http://a:0")
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}


def test_a_call_is_a_servers_span_and_a_receiver_that_does_not_answer_holds_up_nobody():
    released, left = threading.Event(), threading.Event()

    class Silent(Receiver):
        def Export(self, request, context):  # noqa: N802
            context.add_callback(left.set)
            released.wait(30)
            return super().Export(request, context)

    with Silent() as receiver:
        tracing = Tracing(receiver.url, service="tests", role="worker 0")
        with tracing.call_span("package.Calls/Ask", HEADERS, {"rpc.system": "grpc"}):
            pass
        tracing.close(0.05)
        # It still waits for an answer, but this doesn't.
        assert not left.is_set()
        released.set()
        # Else it complains in the middle of another test.
        for thread in threading.enumerate():
            if thread.name == "traces' end":
                thread.join(30)
        [span] = receiver.trace(TRACE)
    # Of the kind SPAN_KIND_SERVER.
    assert (span.parent_id, span.kind, span.state) == (PARENT, 2, "vendor=1")


def test_an_endpoint_is_a_url_and_a_share_is_between_none_and_all():
    wrong = [("endpoint", url) for url in URLS]
    wrong += [("share", share) for share in (-0.1, 1.1, float("nan"))]
    for name, value in wrong:
        with pytest.raises(HostingError, match=r"--(otlp-endpoint|trace-share) is"):
            TraceSettings(**{name: value})
