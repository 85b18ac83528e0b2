"""Record spans and send them to an OTLP receiver. Needs OpenTelemetry (extra otlp).

Calls never wait for the receiver: spans wait in a queue of limited size, and are dropped if they can't
be sent.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lightfm_retriever.hosting.extras import DISTRIBUTION
from lightfm_retriever.hosting.observing.spans import Attributes
from lightfm_retriever.hosting.release import release

_MOST_WAITING = 2048
_SEND_EVERY_MS = 1000
_EXPORT_SECONDS = 2.0
_SAY_EVERY_SECONDS = 600.0

_log = logging.getLogger(__name__)


class Tracing:
    """Make the spans of one process; a lightfm_retriever.hosting.observing.spans.Recorder.

    Args:
        endpoint: URL of the receiver. OTEL_EXPORTER_OTLP_HEADERS and similar variables apply too.
        service: name of the service in the traces.
        role: name of this process of the service.
    """

    def __init__(self, endpoint: str, *, service: str, role: str) -> None:
        # OpenTelemetry logs a warning for each batch. Pass on one in ten minutes.
        theirs = logging.getLogger("opentelemetry")
        theirs.propagate = False
        theirs.setLevel(logging.WARNING)
        theirs.handlers = [_Seldom()]
        resource = Resource.create(
            {
                "service.name": service,
                "service.version": release(),
                "service.instance.id": f"{os.uname().nodename} {role} {os.getpid()}",
                "process.pid": os.getpid(),
                "role": role,
            }
        )
        # Sampling was decided before, because OpenTelemetry takes longer for it than a quick call. No
        # flush at exit, because `close` does it with its own time limit.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS),
                max_queue_size=_MOST_WAITING,
                schedule_delay_millis=_SEND_EVERY_MS,
            )
        )
        self._tracer = self._provider.get_tracer(DISTRIBUTION)

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        """See Recorder."""
        return self._tracer.start_as_current_span(name, attributes=attributes)

    def ids(self) -> tuple[str, str]:
        """See Recorder."""
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    def call_span(
        self, name: str, headers: Mapping[str, str], attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """Open the span of a call, under the caller's span of `traceparent` and `tracestate`, if any.

        The caller of this method sets its status, because it knows how the call ended.
        """
        return self._tracer.start_as_current_span(
            name,
            context=TraceContextTextMapPropagator().extract(headers),
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )

    def run_span(
        self, name: str, traceparent: str, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """Open the span of a training run, under the span of its call; "" if that isn't traced."""
        context = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
        return self._tracer.start_as_current_span(name, context=context, attributes=attributes)

    def close(self, seconds: float) -> None:
        """Send the waiting spans, for at most this time."""
        # OpenTelemetry's own time limit doesn't apply while a request is being sent.
        flush = threading.Thread(target=self._provider.shutdown, name="traces' end", daemon=True)
        flush.start()
        flush.join(seconds)


class _Seldom(logging.Handler):
    """Pass on one record in ten minutes."""

    _next = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SAY_EVERY_SECONDS
            _log.warning(
                "traces can't be sent: %s (not logged again for ten minutes)", record.getMessage()
            )
