"""The flags that say where versions and events are: on a volume, or at a service."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.settings.parser import PathType
from lightfm_retriever.remote import location

DEFAULT_LISTEN = "127.0.0.1:50052"
_STATE = (
    "directory of runs and appended interactions, on this machine's own disk (default: VOLUME.trainer "
    "beside the volume, for a URL BUCKET-PREFIX.trainer in the current directory)"
)


class _Where(argparse.Action):
    """A flag that the command line may have one of. What the environment has isn't given."""

    def __init__(self, *, given: set[str], **options: Any) -> None:
        super().__init__(**options)
        self._given = given

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002 - argparse passes it
    ) -> None:
        self._given.add(self.dest)
        if len(self._given) > 1:
            parser.error("give --volume or --target, not both")
        setattr(namespace, self.dest, values)


def add_volume(parser: argparse._ActionsContainer, defaults: Mapping[str, str], **alone: Any) -> None:
    """Add the flags about a volume, which has to be given unless something else may be (`alone`)."""
    # Text, as the environment has it, goes through `type` like the command line's.
    parser.add_argument(
        "--volume",
        **alone,
        type=PathType(location.parse_location),
        default=defaults.get("volume", argparse.SUPPRESS),
        required=not alone and "volume" not in defaults,
        metavar="DIR|URL",
        help="the shared volume: a folder, or s3://BUCKET/PREFIX, gs://..., az://... (or set "
        "TRAINER_VOLUME)",
    )
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=defaults.get("cache_dir", argparse.SUPPRESS),
        metavar="DIR",
        help="with a URL: where versions are made and fetched to, on this machine's own disk (default: "
        "cache in the directory of --state)",
    )
    parser.add_argument(
        "--cache-gb",
        type=float,
        default=defaults.get("cache_gb", "50.0"),
        metavar="GB",
        help="with a URL: what the versions in --cache-dir may have together; the least recently used "
        "go; 0 for any",
    )


def add_target(
    parser: argparse._ActionsContainer,
    defaults: Mapping[str, str],
    *,
    required: bool = False,
    timeout_seconds: float = 60.0,
    **alone: Any,
) -> None:
    """Add the flags about a service to ask."""
    parser.add_argument(
        "--target",
        **alone,
        type=client_flags.target,
        default=defaults.get("listen", DEFAULT_LISTEN) if required else argparse.SUPPRESS,
        metavar="HOST:PORT",
        help="the service to ask "
        + ("(default: %(default)s)" if required else "(or set TRAINER_LISTEN, and no volume)"),
    )
    parser.add_argument(
        "--timeout",
        type=client_flags.seconds,
        default=timeout_seconds,
        metavar="SECONDS",
        help="for its answer (default: %(default)g)",
    )
    client_flags.add(parser, defaults)


def add_where(
    parser: argparse.ArgumentParser,
    defaults: Mapping[str, str],
    *,
    timeout_seconds: float = 60.0,
) -> None:
    """Add the flags about a volume, or a service that has one."""
    group = parser.add_argument_group("where")
    alone: dict[str, Any] = {"action": _Where, "given": set[str]()}
    add_volume(group, defaults, **alone)
    add_target(group, defaults, timeout_seconds=timeout_seconds, **alone)


def add_state(
    parser: argparse.ArgumentParser, defaults: Mapping[str, str], about: str = _STATE
) -> None:
    """Add --state."""
    default = defaults.get("state", argparse.SUPPRESS)
    parser.add_argument("--state", type=Path, default=default, metavar="DIR", help=about)


def add_data_dir(
    parser: argparse.ArgumentParser, defaults: Mapping[str, str], about: str = "where datasets are"
) -> None:
    """Add --data-dir."""
    parser.add_argument("--data-dir", type=Path, default=defaults.get("data_dir", ".data"), help=about)
