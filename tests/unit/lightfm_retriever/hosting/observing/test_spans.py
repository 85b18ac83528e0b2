import contextlib
import contextvars
import subprocess
import sys

import pytest

from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.observing.spans import span


class Recorder(list):
    @contextlib.contextmanager
    def span(self, name, attributes):
        self.append(("begin", name, attributes))
        yield
        self.append(("end", name))

    def ids(self):
        return "a" * 32, "b" * 16


def test_without_a_recorder_a_span_is_one_shared_nothing():
    assert span("search") is span("filter", conditions=3)
    with pytest.raises(KeyError), span("search"):
        raise KeyError
    assert spans.ids() is None
    assert spans.traceparent() == ""


def test_a_span_is_recorded_in_its_own_context_alone():
    recorder = Recorder()

    def traced():
        spans.record_with(recorder)
        with span("search", questions=2), span("filter"):
            pass
        assert spans.ids() == ("a" * 32, "b" * 16)
        return spans.traceparent()

    assert contextvars.copy_context().run(traced) == f"00-{'a' * 32}-{'b' * 16}-01"
    begun = [("begin", "search", {"questions": 2}), ("begin", "filter", {})]
    assert recorder == [*begun, ("end", "filter"), ("end", "search")]
    assert spans.ids() is None


CODE = """
import sys
from lightfm_retriever.hosting.observing.spans import outgoing
assert outgoing() is None
assert "opentelemetry" not in sys.modules
from opentelemetry import trace
assert outgoing() is None
context = trace.SpanContext(0xA, 0xB, False, trace.TraceFlags(1))
with trace.use_span(trace.NonRecordingSpan(context)):
    print(outgoing())
assert outgoing() is None
"""


def test_a_trace_goes_on_where_the_caller_uses_opentelemetry():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"(('traceparent', '00-{10:032x}-{11:016x}-01'),)"
