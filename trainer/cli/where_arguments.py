"""The flags that choose a volume or a service, and the folder of events."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.settings import layers
from lightfm_retriever.hosting.settings.help_pages import CONNECTION
from lightfm_retriever.hosting.settings.parser import Parser
from lightfm_retriever.hosting.settings.values import PathType
from lightfm_retriever.remote import location

DEFAULT_LISTEN = "127.0.0.1:50052"
PREFIX = "TRAINER_"
"""The beginning of the variables' names."""
COPIES = "copies of versions"
"""The topic of the flags about --cache-dir, in pages of help."""

_STATE = (
    "folder for training runs and appended interactions, on a local disk (default: VOLUME.trainer "
    "next to the volume; for a URL, BUCKET-PREFIX.trainer in the current folder)"
)


class _Where(argparse.Action):
    """A flag of which the command line may have only one. A variable doesn't count as given."""

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


def add_volume(parser: argparse.ArgumentParser, **alone: Any) -> None:
    """Add the flags about a volume. --volume is required, unless `alone` has an action for --volume."""
    volume = parser.add_argument(
        "--volume",
        **alone,
        type=PathType(location.parse_location),
        default=argparse.SUPPRESS,
        required=not alone,
        metavar="DIR|URL",
        help="the shared volume: a folder, or s3://BUCKET/PREFIX, gs://..., az://... (or set "
        "TRAINER_VOLUME)",
    )
    copies = parser.add_argument_group(COPIES)
    folder = copies.add_argument(
        "--cache-dir",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="for a volume that is a URL: make and copy versions in this folder, on a local disk "
        "(default: the folder cache in the --state folder)",
    )
    size = copies.add_argument(
        "--cache-gb",
        type=float,
        default=50.0,
        metavar="GB",
        help="for a volume that is a URL: delete the least recently used versions of --cache-dir "
        "beyond this size; 0 for no limit",
    )
    for action in (volume, folder, size):
        layers.settable(action)
    used_with("--volume", folder, size)


def add_target(parser: argparse.ArgumentParser, *, timeout_seconds: float = 60.0) -> None:
    """Add the flags about a service to ask."""
    client_flags.add_target(parser, DEFAULT_LISTEN, PREFIX)
    connection = parser.add_argument_group(CONNECTION)
    client_flags.add(connection, timeout_seconds=timeout_seconds, prefix=PREFIX)


def add_where(parser: argparse.ArgumentParser, *, timeout_seconds: float = 60.0) -> None:
    """Add the flags about a volume, or about the service of one."""
    alone: dict[str, Any] = {"action": _Where, "given": set[str]()}
    add_volume(parser, **alone)
    told = "ask the service at this address (or set TRAINER_LISTEN, and no volume)"
    added = client_flags.add_target(parser, argparse.SUPPRESS, PREFIX, help=told, **alone)
    # A volume from a variable has priority: see `arguments.parse`.
    layers.settable(added, "")
    connection = parser.add_argument_group(CONNECTION, "For --target.")
    others = layers.actions(parser)
    client_flags.add(connection, timeout_seconds=timeout_seconds, prefix=PREFIX)
    used_with("--target", *layers.actions(parser)[len(others) :])


def add_state(parser: argparse._ActionsContainer, about: str = _STATE) -> None:
    """Add --state."""
    default = argparse.SUPPRESS
    added = parser.add_argument("--state", type=Path, default=default, metavar="DIR", help=about)
    layers.settable(added)
    used_with("--volume", added)


def add_data_dir(parser: argparse._ActionsContainer) -> None:
    """Add --data-dir."""
    added = parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(".data"),
        metavar="DIR",
        help="the folder of fetched datasets",
    )
    layers.settable(added)
    used_with("--volume", added)


def check(parser: Parser, arguments: Sequence[str], options: argparse.Namespace) -> None:
    """Refuse a flag of the command line that has no effect on the chosen volume or service.

    A variable may set such a flag, because variables are for all commands.

    Args:
        parser: of a command with the flags of `add_where`.
        arguments: its command line.
        options: the options of this command line.
    """
    given = {argument.partition("=")[0] for argument in takewhile(lambda own: own != "--", arguments)}
    chosen = "--target" if "target" in options else "--volume" if "volume" in options else "--state"
    for action in layers.actions(parser):
        flag, needed = action.option_strings[-1], getattr(action, "used_with", None)
        if flag not in given or needed is None or (needed == "--target") == (chosen == "--target"):
            continue
        # A variable or a file may have made the choice.
        origin = options.origins.get(chosen) or ("TRAINER_LISTEN" if chosen not in given else chosen)
        parser.error(f"{flag} is for {needed}, so it has no effect with {origin}: leave it out")


def used_with(needed: str, *actions: argparse.Action) -> None:
    """Mark flags that have an effect only with --volume or with --target."""
    for action in actions:
        vars(action)["used_with"] = needed
