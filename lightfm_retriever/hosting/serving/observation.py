"""What looks on at a service's calls: its log and its traces."""

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
    """Looks on until it is closed; does nothing at all where nothing is switched on.

    `arounds` are to be put around calls, `of_refusals` around those that are refused. Traces call the
    service by its name; they and logs have what `facts` tells of a response.
    """

    def __init__(self, settings: Hosting, *, service: str, facts: Facts) -> None:
        self._access = AccessLog(logs.line_format()) if settings.logs.access else None
        self._tracing = None
        arounds: list[Around] = []
        # What is logged in JSON names the call that it is about.
        if settings.logs.access or settings.logs.format == "json":
            arounds.append(CallLog(self._access, facts))
        self.of_refusals = tuple(arounds)
        if settings.traces.endpoint is not None:
            # Takes memory and time to load.
            from lightfm_retriever.hosting.observing.call_traces import CallTraces
            from lightfm_retriever.hosting.observing.otel import Tracing

            self._tracing = Tracing(settings.traces.endpoint, service=service, role=logs.role())
            arounds.insert(0, CallTraces(self._tracing, settings.traces.share, facts))
        self.arounds = tuple(arounds)

    def close(self) -> None:
        """Write and send what waits, for at most CLOSE_SECONDS."""
        if self._tracing is not None:
            self._tracing.close(_TRACES_SECONDS)
        if self._access is not None:
            self._access.close(_ACCESS_SECONDS)
