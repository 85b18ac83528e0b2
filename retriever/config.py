"""Settings of `serve`, from flags, environment variables and a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from lightfm_retriever.hosting import addresses, options, words
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.settings.flags import CACHE_GB, Hosting
from lightfm_retriever.publication import layout
from retriever.errors import SettingError

DEFAULT_LISTEN = "127.0.0.1:50051"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `serve`.

    Attributes:
        volume: the shared volume, which is only read. With `source` it is the cache of copies.
        source: the location to copy versions from, as remote.location has it; None for no copies.
        host, port: the address to listen at; port 0 takes a free port.
        threads: calls that each worker handles at the same time. Quick calls don't count.
        online_recall_share: the share of indexed calls whose recall is measured.
    """

    volume: Path
    source: str | None = None
    host: str = "127.0.0.1"
    port: int = 50051
    workers: Annotated[int, Option("number of worker processes", ge=1, le=256)] = 2
    label: Annotated[str, Option("serve the version that this label names", metavar="LABEL")] = (
        layout.DEFAULT_LABEL
    )
    pin: Annotated[
        str | None, Option("serve this version instead of the label's", metavar="VERSION")
    ] = None
    cache_gb: Annotated[
        float,
        replace(
            CACHE_GB,
            help="delete the least recently used copies of --cache-dir beyond this size; 0 for no "
            "limit",
        ),
    ] = 50.0
    poll_seconds: Annotated[
        float, Option("seconds between two looks at the label", ge=0.01, le=3600)
    ] = 1.0
    threads: Annotated[int, Option("calls that each worker handles at the same time", ge=1, le=256)] = 2
    max_calls: Annotated[
        int,
        Option(
            "calls that each worker accepts at the same time; further calls get "
            "RESOURCE_EXHAUSTED at once",
            ge=1,
            le=4096,
        ),
    ] = 64
    max_connection_age_seconds: Annotated[
        float,
        Option(
            "ask clients to connect again after this time, which spreads them over the workers; 0"
            " for never",
            ge=0,
            le=86400,
        ),
    ] = 300.0
    heartbeat_seconds: Annotated[
        float,
        Option("kill and replace a worker that has been silent for this time", ge=2, le=3600),
    ] = 10.0
    prepare_seconds: Annotated[
        float, Option("longest time in which a worker may open and warm up a version", ge=1, le=86400)
    ] = 300.0
    drain_seconds: Annotated[
        float,
        Option(
            "time after SIGTERM in which calls are still accepted, while health says NOT_SERVING",
            ge=0,
            le=3600,
        ),
    ] = 1.0
    grace_seconds: Annotated[
        float, Option("time after the drain in which calls may end", ge=0, le=3600)
    ] = 10.0
    online_recall_share: Annotated[
        float,
        Option(
            "share of Recommend calls that are also answered by exact search, to measure recall",
            ge=0,
            le=1,
        ),
    ] = 0.001
    hosting: Hosting = field(default_factory=Hosting)

    def __post_init__(self) -> None:
        """Raise SettingError for a value out of range."""
        options.check(self, _refusal)
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


def _refusal(flag: str, value: Any, expected: str) -> SettingError:
    return SettingError(f"{flag} is {words.brief(value)}, but should be {expected}")


def parse_address(address: str) -> tuple[str, int]:
    """Read host and port of "host:port"; an IPv6 host is in brackets. Raises SettingError."""
    try:
        return addresses.parse_one(address, least=0)
    except addresses.AddressError as error:
        raise SettingError(f"--listen: {error}") from error
