"""Settings that the environment gives; a flag of the same name wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hosting import client_flags


@dataclass(frozen=True)
class Config:
    """Defaults of the command line's flags.

    Attributes:
        volume: TRAINER_VOLUME, the shared volume; None when it isn't set.
        data_dir: TRAINER_DATA_DIR, where fetched datasets are kept.
        listen: TRAINER_LISTEN, the address of `serve`, and which the commands for a service ask.
        state: TRAINER_STATE, the directory of runs and appended interactions; None when it isn't set.
        client: TRAINER_CLIENT_CA and the like, how commands for a service connect, by flag.
    """

    volume: Path | None
    data_dir: Path
    listen: str
    state: Path | None = None
    client: Mapping[str, str] = field(default_factory=dict)


def from_environment(environment: Mapping[str, str]) -> Config:
    """Read the settings; an empty variable counts as not set."""
    volume = environment.get("TRAINER_VOLUME")
    state = environment.get("TRAINER_STATE")
    return Config(
        volume=Path(volume) if volume else None,
        data_dir=Path(environment.get("TRAINER_DATA_DIR") or ".data"),
        listen=environment.get("TRAINER_LISTEN") or "127.0.0.1:50052",
        state=Path(state) if state else None,
        client=client_flags.from_environment(environment, "TRAINER_"),
    )
