"""Settings of `serve`, from the environment and from flags; a flag wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lightfm_retriever.hosting import addresses, words
from lightfm_retriever.hosting.settings.flags import Hosting
from lightfm_retriever.publication import layout
from retriever.errors import SettingError

DEFAULT_LISTEN = "127.0.0.1:50051"


@dataclass(frozen=True, kw_only=True)
class Config:
    """How to serve.

    Attributes:
        volume: the shared volume, which is only read; with `source` the cache, where copies are.
        source: where the versions are copied from, as remote.location has it; None for not at all.
        cache_gb: what all copies may have together, in GB; 0 for what the disk holds.
        host, port: where to listen; port 0 takes a free one.
        workers: number of worker processes.
        label: the label that is followed.
        pin: the version that is served whatever the label names; None to follow the label.
        poll_seconds: how often the label is read.
        threads: calls that one worker handles at the same time, besides quick ones.
        max_calls: calls that one worker accepts at the same time; more are refused at once.
        max_connection_age_seconds: after which a client is asked to connect anew, so that long-lived
            clients spread over the workers; 0 for never.
        heartbeat_seconds: how long a worker may be silent before it is killed and replaced.
        prepare_seconds: how long a worker may take to prepare a version.
        drain_seconds: after SIGTERM, how long calls are still taken while health says NOT_SERVING.
        grace_seconds: after that, how long calls in flight may take.
        online_recall_share: of the Recommend calls that an index answered, how many are also answered
            exactly, to see what it missed.
        hosting: security, metrics, traces and logs.
    """

    volume: Path
    source: str | None = None
    cache_gb: float = 50.0
    host: str = "127.0.0.1"
    port: int = 50051
    workers: int = 2
    label: str = layout.DEFAULT_LABEL
    pin: str | None = None
    poll_seconds: float = 1.0
    threads: int = 2
    max_calls: int = 64
    max_connection_age_seconds: float = 300.0
    heartbeat_seconds: float = 10.0
    prepare_seconds: float = 300.0
    drain_seconds: float = 1.0
    grace_seconds: float = 10.0
    online_recall_share: float = 0.001
    hosting: Hosting = field(default_factory=Hosting)

    def __post_init__(self) -> None:
        """Raise SettingError for a value out of range."""
        for name, low, high in (
            ("workers", 1, 256),
            ("threads", 1, 256),
            ("max_calls", 1, 4096),
            ("max_connection_age_seconds", 0, 86400),
            ("heartbeat_seconds", 2, 3600),
            ("prepare_seconds", 1, 86400),
            ("poll_seconds", 0.01, 3600),
            ("cache_gb", 0, 1_000_000),
            ("drain_seconds", 0, 3600),
            ("grace_seconds", 0, 3600),
            ("online_recall_share", 0, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                flag = f"--{name.replace('_', '-')}"
                raise SettingError(f"{flag} is {words.brief(value)}, but should be in {low}..{high}")
        if not layout.is_label_name(self.label):
            raise SettingError(
                f"--label is {self.label!r}, but should be 1 to 64 of a-z, 0-9, - and _, starting with "
                "a letter"
            )
        if self.pin is not None and not layout.is_version_name(self.pin):
            raise SettingError(
                f"--pin is {self.pin!r}, but should be a version's name, such as "
                "20261124T043500Z-3fa9c1"
            )


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port"; an IPv6 host stands in brackets. Raises SettingError."""
    try:
        return addresses.parse_listen(address)
    except addresses.AddressError as error:
        raise SettingError(f"--listen, or RETRIEVER_LISTEN: {error}") from error


def format_address(host: str, port: int) -> str:
    """Inverse of `parse_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def environment_defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """RETRIEVER_VOLUME, RETRIEVER_LISTEN, ... by flag name; empty variables count as not set."""
    prefix = "RETRIEVER_"
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in environment.items()
        if name.startswith(prefix) and value
    }
