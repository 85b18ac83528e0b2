"""Traces across calls: what a client sends so that the service's spans belong to its caller's."""

from __future__ import annotations

import sys


def outgoing() -> tuple[tuple[str, str], ...] | None:
    """Metadata for a call that is made now; None unless the caller uses OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import propagate

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return tuple((name.lower(), value) for name, value in headers.items()) or None
