"""Where spans go. Imports no OpenTelemetry before it is asked to."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from urllib.parse import urlsplit

from lightfm_retriever.hosting.errors import FlagError, HostingError


@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """What the flags say.

    Attributes:
        endpoint: URL of an OTLP receiver (gRPC); None for no traces.
        share: of the calls whose caller didn't decide, how many are traced, 0 to 1. Training runs are
            few: all are traced unless it is 0.
    """

    endpoint: str | None = None
    share: float = 0.01

    def __post_init__(self) -> None:
        """Raise HostingError for a value out of range, or if OpenTelemetry isn't installed."""
        if not 0 <= self.share <= 1:
            raise FlagError(f"--trace-share is {self.share:g}, but should be in 0..1")
        if self.endpoint is not None:
            if not _is_url(self.endpoint):
                raise FlagError(
                    f"--otlp-endpoint is {self.endpoint!r}, but should be a URL such as "
                    "http://127.0.0.1:4317"
                )
            if not _is_installed():
                raise HostingError(
                    "--otlp-endpoint takes OpenTelemetry: pip install 'lightfm-retriever[otlp]'"
                )


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        # Reading the port is what checks it.
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _is_installed() -> bool:
    try:
        return all(
            importlib.util.find_spec(name) is not None
            for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")
        )
    except ModuleNotFoundError:
        # Of what they are part of.
        return False
