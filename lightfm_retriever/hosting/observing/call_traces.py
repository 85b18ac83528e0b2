"""Spans for calls. Whether a call is traced is decided before any OpenTelemetry object is made."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.trace import Span, Status, StatusCode

from lightfm_retriever.hosting.calls import Behavior
from lightfm_retriever.hosting.observing import request_ids, spans
from lightfm_retriever.hosting.observing.call_log import Facts, code_of, of_machines
from lightfm_retriever.hosting.observing.otel import Tracing

_PARENT = "traceparent"
_SENT = (_PARENT, "tracestate")
# https://www.w3.org/TR/trace-context/#traceparent-header; ids that consist of zeros are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
# Status codes that are the service's fault, by OpenTelemetry's conventions for servers.
_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


class CallTraces:
    """Record calls whose callers trace them, and a share of the calls whose callers don't decide.

    Spans have the `facts` of the response as attributes.
    """

    def __init__(self, tracing: Tracing, share: float, facts: Facts) -> None:
        self._tracing = tracing
        self._share = share
        self._facts = facts

    def __call__(self, method: str, behavior: Behavior, *, streams: bool) -> Behavior:
        """See lightfm_retriever.hosting.calls.Around."""
        if of_machines(method):
            return behavior

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            with self._recorded(method, context) as span:
                response = behavior(request, context)
                span.set_attributes(self._facts(response))
            return response

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._recorded(method, context):
                yield from behavior(request, context)

        recorded = stream if streams else unary

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            is_wanted = self._is_wanted(context.invocation_metadata())
            return (recorded if is_wanted else behavior)(request, context)

        return answer

    def _is_wanted(self, metadata: Iterable[Any] | None) -> bool:
        for key, value in metadata or ():
            if key == _PARENT and (parent := _TRACEPARENT.fullmatch(value)):
                return bool(int(parent[1], 16) & 1)
        return random.random() < self._share  # noqa: S311

    @contextmanager
    def _recorded(self, method: str, context: grpc.ServicerContext) -> Iterator[Span]:
        headers = {key: str(value) for key, value in context.invocation_metadata() if key in _SENT}
        service, _, name = method[1:].partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        with self._tracing.call_span(method[1:], headers, attributes) as span:
            spans.record_with(self._tracing)
            failed = True
            try:
                yield span
                failed = False
            finally:
                code = code_of(context, failed=failed)
                span.set_attribute("rpc.grpc.status_code", code.value[0])
                if request_id := request_ids.current():
                    span.set_attribute("request_id", request_id)
                if code.name in _FAULTS:
                    span.set_status(Status(StatusCode.ERROR, code.name))
