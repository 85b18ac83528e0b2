"""Settings of traces. Imports OpenTelemetry only when traces are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from lightfm_retriever.hosting import extras, options
from lightfm_retriever.hosting.errors import FlagError, HostingError
from lightfm_retriever.hosting.options import Option

_OPENTELEMETRY = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")


@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """Settings of traces. Training runs are few: all are traced unless the share is 0."""

    endpoint: Annotated[
        str | None,
        Option(
            "send traces to this address, such as http://127.0.0.1:4317; needs the extra otlp",
            flag="otlp_endpoint",
            metavar="URL",
        ),
    ] = None
    share: Annotated[
        float,
        Option(
            "share of calls to trace, 0 to 1, if the caller doesn't decide",
            ge=0,
            le=1,
            flag="trace_share",
        ),
    ] = 0.01

    def __post_init__(self) -> None:
        """Raise HostingError for a value out of range, or if OpenTelemetry isn't installed."""
        options.check(self, _refusal)
        if self.endpoint is not None:
            if not _is_url(self.endpoint):
                raise FlagError(
                    f"--otlp-endpoint is {self.endpoint!r}, but should be a URL such as "
                    "http://127.0.0.1:4317"
                )
            if extras.first_missing(_OPENTELEMETRY) is not None:
                raise HostingError(
                    "--otlp-endpoint needs OpenTelemetry: pip install 'lightfm-retriever[otlp]'"
                )


def _refusal(flag: str, value: float, expected: str) -> FlagError:
    return FlagError(f"{flag} is {value:g}, but should be {expected}")


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        # Reading the port also checks it.
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
