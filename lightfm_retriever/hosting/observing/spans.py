"""Spans: the durations of the stages of a traced call or training run.

This module doesn't import OpenTelemetry. Code uses `with span("search"):`, which costs almost nothing
unless the call or run is traced.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol, TypeAlias

# The attributes of spans and the fields of log lines.
Attribute: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, Attribute]


class Recorder(Protocol):
    """Records spans; see lightfm_retriever.hosting.observing.otel."""

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        """Record a span within the current one."""

    def ids(self) -> tuple[str, str]:
        """Return the ids of the current trace and span, 32 and 16 hexadecimal digits."""


_NOTHING = nullcontext()
# Set only for a traced call or run, so that others cost one look-up.
_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def span(name: str, **attributes: Attribute) -> AbstractContextManager[object]:
    """Record a span if the current call or run is traced."""
    recorder = _recorder.get()
    return _NOTHING if recorder is None else recorder.span(name, attributes)


def record_with(recorder: Recorder) -> None:
    """Record the spans of the current context from now on.

    There is nothing to undo: gRPC runs each call in a separate context, and the process of a training
    run does nothing else.
    """
    _recorder.set(recorder)


def ids() -> tuple[str, str] | None:
    """Return the current trace id and span id; None if the call or run isn't traced."""
    recorder = _recorder.get()
    return None if recorder is None else recorder.ids()


def traceparent() -> str:
    """Return the current span for another process whose spans belong under it; "" for none.

    The form is that of the W3C's header `traceparent`.
    """
    found = ids()
    return "" if found is None else f"00-{found[0]}-{found[1]}-01"


def outgoing() -> tuple[tuple[str, str], ...] | None:
    """Return metadata for a client's call, so that the service's spans belong under the client's.

    None unless the client uses OpenTelemetry.
    """
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import propagate

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return tuple((name.lower(), value) for name, value in headers.items()) or None
