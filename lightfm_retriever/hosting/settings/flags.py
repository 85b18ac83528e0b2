"""The flags that both services have, and the settings of these flags."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Annotated

from lightfm_retriever.hosting.observing.logs import LogSettings
from lightfm_retriever.hosting.observing.trace_settings import TraceSettings
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.security.settings import SecuritySettings
from lightfm_retriever.hosting.settings import option_flags
from lightfm_retriever.hosting.settings.layers import add_config_flag

CACHE_GB = Option(ge=0, le=1_000_000)
"""The size of all copies of versions together; each service has its own help for it."""


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """Settings of any service: its callers, metrics, traces and log."""

    security: SecuritySettings = field(default_factory=SecuritySettings)
    metrics_listen: Annotated[
        str | None,
        Option(
            "answer HTTP at this address: /metrics for Prometheus, /live and /ready for probes",
            metavar="HOST:PORT",
        ),
    ] = None
    traces: TraceSettings = field(default_factory=TraceSettings)
    logs: LogSettings = field(default_factory=LogSettings)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of both services, and --config."""
    add_config_flag(parser)
    security = parser.add_argument_group(
        "security",
        "Without TLS, the service listens on loopback addresses only, unless --insecure is given.",
    )
    option_flags.add(security, SecuritySettings)
    observed = parser.add_argument_group("metrics, traces and logs")
    option_flags.add(observed, Hosting, TraceSettings, LogSettings)
