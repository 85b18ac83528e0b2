"""Settings that the environment gives; a flag of the same name wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lightfm_retriever.hosting.calling import client_flags


@dataclass(frozen=True)
class Environment:
    """Defaults of the command line's flags.

    Attributes:
        volume: TRAINER_VOLUME, the shared volume, a folder or a URL; None when it isn't set.
        data_dir: TRAINER_DATA_DIR, where fetched datasets are kept.
        listen: TRAINER_LISTEN, the address of `serve`, and which the commands for a service ask.
        target: the same; None when it isn't set. Asked where no volume is given.
        state: TRAINER_STATE, the directory of runs and appended interactions; None when it isn't set.
        cache_dir: TRAINER_CACHE_DIR, for versions fetched from a URL; None when it isn't set.
        cache_gb: TRAINER_CACHE_GB, how large that may get.
        client: TRAINER_CLIENT_CA and the like, how commands for a service connect, by flag.
    """

    volume: str | None
    data_dir: Path
    listen: str
    target: str | None = None
    state: Path | None = None
    cache_dir: str | None = None
    cache_gb: str = "50.0"
    client: Mapping[str, str] = field(default_factory=dict)


def from_environment(environment: Mapping[str, str]) -> Environment:
    """Read the settings; an empty variable counts as not set."""
    state = environment.get("TRAINER_STATE")
    return Environment(
        volume=environment.get("TRAINER_VOLUME") or None,
        data_dir=Path(environment.get("TRAINER_DATA_DIR") or ".data"),
        listen=environment.get("TRAINER_LISTEN") or "127.0.0.1:50052",
        target=environment.get("TRAINER_LISTEN") or None,
        state=Path(state) if state else None,
        cache_dir=environment.get("TRAINER_CACHE_DIR") or None,
        cache_gb=environment.get("TRAINER_CACHE_GB") or "50.0",
        client=client_flags.from_environment(environment, "TRAINER_"),
    )
