import subprocess
import sys

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
