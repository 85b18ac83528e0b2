"""A receiver of traces, as a collector is one."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

# How long anything may take: an end to waiting for what never comes, not a measure.
PATIENCE = 60


class Span:
    """A span as it was received, with its ids in hexadecimal and its attributes by name."""

    def __init__(self, span: Any, resource: dict[str, Any]) -> None:
        self.name: str = span.name
        self.trace_id: str = span.trace_id.hex()
        self.span_id: str = span.span_id.hex()
        self.parent_id: str = span.parent_span_id.hex()
        self.kind: int = span.kind
        self.status: int = span.status.code
        self.state: str = span.trace_state
        self.begin: int = span.start_time_unix_nano
        self.end: int = span.end_time_unix_nano
        self.attributes = attributes(span.attributes)
        self.resource = resource

    def __repr__(self) -> str:
        return f"{self.name} {self.trace_id}/{self.span_id} under {self.parent_id} {self.attributes}"


def attributes(pairs: Any) -> dict[str, Any]:
    """Attributes by name."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Listens on a free port until the block ends, and keeps all spans."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._come = threading.Condition()
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request: Any, _: grpc.ServicerContext) -> Any:  # noqa: N802
        """Take spans."""
        with self._come:
            for of_resource in request.resource_spans:
                resource = attributes(of_resource.resource.attributes)
                for of_scope in of_resource.scope_spans:
                    self._spans += [Span(span, resource) for span in of_scope.spans]
            self._come.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: str) -> list[Span]:
        """What has come of a trace, by when it began."""
        with self._come:
            return sorted(
                (span for span in self._spans if span.trace_id == trace_id), key=lambda span: span.begin
            )

    def wait_for(self, holds: Callable[[list[Span]], object], *, trace_id: str) -> list[Span]:
        """A trace once it is as wanted."""
        with self._come:
            assert self._come.wait_for(lambda: holds(self.trace(trace_id)), PATIENCE), self._spans
        return self.trace(trace_id)

    def wait_for_any(self, holds: Callable[[Span], object]) -> Span:
        """A span that is as wanted, once it has come."""
        with self._come:
            assert self._come.wait_for(lambda: any(map(holds, self._spans)), PATIENCE), self._spans
            return next(span for span in self._spans if holds(span))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()
