"""Set up the access log and the traces of a service's calls."""

from __future__ import annotations

from lightfm_retriever.hosting.calls import Around
from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.observing.access_log import AccessLog
from lightfm_retriever.hosting.observing.call_log import CallLog, Facts
from lightfm_retriever.hosting.settings.flags import Hosting

_ACCESS_SECONDS = 0.5
_TRACES_SECONDS = 1.0
CLOSE_SECONDS = _ACCESS_SECONDS + _TRACES_SECONDS
"""How long `Observation.close` takes at most."""


class Observation:
    """Log and trace calls until it is closed. It does nothing if neither is switched on.

    Args:
        settings: the settings of logs and traces.
        service: name of the service in the traces.
        facts: returns the facts of a response for logs and traces.

    Attributes:
        arounds: wrappers for calls.
        of_refusals: wrappers for refused calls.
    """

    def __init__(self, settings: Hosting, *, service: str, facts: Facts) -> None:
        self._access = AccessLog(logs.line_format()) if settings.logs.access else None
        self._tracing = None
        arounds: list[Around] = []
        # JSON lines contain the request id of the call.
        if settings.logs.access or settings.logs.format == "json":
            arounds.append(CallLog(self._access, facts))
        self.of_refusals = tuple(arounds)
        if settings.traces.endpoint is not None:
            # Imported here, because OpenTelemetry takes memory and time to load.
            from lightfm_retriever.hosting.observing.call_traces import CallTraces
            from lightfm_retriever.hosting.observing.otel import Tracing

            self._tracing = Tracing(settings.traces.endpoint, service=service, role=logs.role())
            arounds.insert(0, CallTraces(self._tracing, settings.traces.share, facts))
        self.arounds = tuple(arounds)

    def close(self) -> None:
        """Write the waiting lines and send the waiting spans, for at most CLOSE_SECONDS."""
        if self._tracing is not None:
            self._tracing.close(_TRACES_SECONDS)
        if self._access is not None:
            self._access.close(_ACCESS_SECONDS)
