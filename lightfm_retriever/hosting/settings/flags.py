"""The flags that both services have, and what they set."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from lightfm_retriever.hosting.observing.logs import FORMATS, LEVELS, LogSettings
from lightfm_retriever.hosting.observing.trace_settings import TraceSettings
from lightfm_retriever.hosting.security.settings import SecuritySettings
from lightfm_retriever.hosting.settings.layers import add_config_flag


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """How a service is run, whatever it does.

    Attributes:
        security: who may call it, and by which connections.
        metrics_listen: "HOST:PORT" of the metrics endpoint; None for none.
        traces: where spans go.
        logs: what is logged, and how.
    """

    security: SecuritySettings = field(default_factory=SecuritySettings)
    metrics_listen: str | None = None
    traces: TraceSettings = field(default_factory=TraceSettings)
    logs: LogSettings = field(default_factory=LogSettings)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add them, --config too."""
    add_config_flag(parser)
    _add_security(parser)
    _add_observation(parser)


def hosting(options: argparse.Namespace) -> Hosting:
    """What the flags say; raises HostingError for what can't be together or is out of range."""
    return Hosting(
        security=SecuritySettings(
            cert=options.tls_cert,
            key=options.tls_key,
            client_ca=options.tls_client_ca,
            allowed_clients=tuple(options.tls_allowed_clients),
            token_file=options.token_file,
            insecure=options.insecure,
        ),
        metrics_listen=options.metrics_listen,
        traces=TraceSettings(endpoint=options.otlp_endpoint, share=options.trace_share),
        logs=LogSettings(format=options.log_format, level=options.log_level, access=options.access_log),
    )


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        # Without the flag all that are signed may call: that must not come of an empty variable.
        raise argparse.ArgumentTypeError("there is no name in it")
    return names


def _add_security(parser: argparse.ArgumentParser) -> None:
    security = parser.add_argument_group(
        "security", "Without TLS only loopback addresses are listened on, unless --insecure is given."
    )
    for name, what in (
        (
            "tls-cert",
            "the server's certificate and those it was signed by, PEM; read again when it changes",
        ),
        ("tls-key", "its private key, PEM"),
        ("tls-client-ca", "clients must show a certificate signed by one of these, PEM"),
        ("token-file", "callers must send one of these bearer tokens, one a line; read again too"),
    ):
        security.add_argument(f"--{name}", type=Path, default=None, metavar="FILE", help=what)
    security.add_argument(
        "--tls-allowed-clients",
        type=_names,
        default=[],
        metavar="NAME,...",
        help="names in client certificates that may call (default: all that are signed)",
    )
    security.add_argument(
        "--insecure",
        action="store_true",
        default=False,
        help="listen without TLS on addresses that other machines reach",
    )


def _add_observation(parser: argparse.ArgumentParser) -> None:
    observed = parser.add_argument_group("metrics, traces and logs")
    observed.add_argument(
        "--metrics-listen",
        default=None,
        metavar="HOST:PORT",
        help="answer HTTP there: /metrics for Prometheus, /live and /ready for probes",
    )
    observed.add_argument(
        "--otlp-endpoint",
        default=None,
        metavar="URL",
        help="send traces there, such as http://127.0.0.1:4317 (extra otlp)",
    )
    observed.add_argument(
        "--trace-share",
        type=float,
        default=TraceSettings.share,
        help="which share of calls is traced, 0 to 1, where the caller doesn't say",
    )
    observed.add_argument(
        "--log-format", choices=FORMATS, default=LogSettings.format, help="of the log"
    )
    observed.add_argument("--log-level", choices=LEVELS, default=LogSettings.level, help="least to log")
    observed.add_argument(
        "--access-log", action="store_true", default=False, help="log a line for each call"
    )
