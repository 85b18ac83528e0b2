"""Spans: what parts of a call or a training run took, for whoever traces it.

Imports no OpenTelemetry. Code says `with span("search"):`, which does next to nothing unless what it is
part of is traced.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol, TypeAlias

# What is told of something by name, in spans and in lines of a log.
Attribute: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, Attribute]


class Recorder(Protocol):
    """Records spans; see lightfm_retriever.hosting.observing.otel."""

    def span(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        """Record what happens within, as part of the span that is open now."""

    def ids(self) -> tuple[str, str]:
        """The ids of the trace and of the span that is open now, 32 and 16 hexadecimal digits."""


_NOTHING = nullcontext()
# Set only where a call or run is traced, so that the others pay for one look.
_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def span(name: str, **attributes: Attribute) -> AbstractContextManager[object]:
    """A part of what is being done; recorded if that is traced."""
    recorder = _recorder.get()
    return _NOTHING if recorder is None else recorder.span(name, attributes)


def record_with(recorder: Recorder) -> None:
    """Record what this context does from now on.

    There is nothing to undo: gRPC runs each call in a context of its own, and a training run's process
    does nothing else.
    """
    _recorder.set(recorder)


def ids() -> tuple[str, str] | None:
    """Trace and span id of what is being done; None when it isn't traced."""
    recorder = _recorder.get()
    return None if recorder is None else recorder.ids()


def traceparent() -> str:
    """What to hand to another process whose spans belong under the one that is open now; "" for none.

    In the form of the W3C's header of that name.
    """
    found = ids()
    return "" if found is None else f"00-{found[0]}-{found[1]}-01"


def outgoing() -> tuple[tuple[str, str], ...] | None:
    """Metadata for a call that a client makes now, so that the service's spans belong to its caller's.

    None unless the caller uses OpenTelemetry.
    """
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import propagate

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return tuple((name.lower(), value) for name, value in headers.items()) or None
