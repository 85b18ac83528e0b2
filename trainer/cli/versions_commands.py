"""Commands about versions and events, the same for a volume and for a trainer's service."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import LabelError
from lightfm_retriever.publication.volume import Volume
from trainer.cli import removal_command
from trainer.cli.printed import output
from trainer.tracking import export
from trainer.tracking.tracked_run import version_row
from trainer.versions import catalogue, diff
from trainer.versions.catalogue import VersionRow
from trainer.versions.diff import VersionDiff

if TYPE_CHECKING:
    # At run time they are imported where they are used, because versions of a volume need none of them.
    from trainer.cli.service_commands import OfService
    from trainer.event_log.log import Removed, Selection

COMMANDS = ("versions", "version", "promote", "rollback", "delete", "diff", removal_command.NAME)


class OfVolume:
    """A volume, and the event log of a trainer whose service doesn't run.

    OfService has the same methods. The methods raise the errors of the volume and of the log.
    """

    def __init__(self, volume: Callable[[], Volume], events: Path) -> None:
        self._volume = volume
        self._events = events

    def read_label(self, label: str) -> str:
        """Look up the version that a label names."""
        return read_label(self._volume(), label)

    def rows(self) -> list[VersionRow]:
        """List all versions, the oldest first."""
        return [version.row() for version in catalogue.list_published(self._volume())]

    def version(self, name: str) -> tuple[VersionRow, dict[str, Any] | None]:
        """Look up a version; returns its row, and its manifest or None if that is broken."""
        found = catalogue.get(self._volume(), name)
        content = None if found.manifest is None else json.loads(manifest.encode(found.manifest))
        return found.row(), content

    def promote(self, version: str, *, label: str) -> str | None:
        """Move a label; returns the version that it named before."""
        return catalogue.promote(self._volume(), version, label=label)

    def rollback(self, *, label: str) -> tuple[str | None, str]:
        """Move a label back; returns its version before, and its version now."""
        return catalogue.rollback(self._volume(), label=label)

    def delete(self, version: str) -> None:
        """Delete a version that no label names."""
        self._volume().delete_version(version)

    def diff(self, before: str, after: str, *, users: int) -> VersionDiff:
        """Compare two versions."""
        with self._volume().fetched(before, after) as folder:
            return diff.diff(folder, before, after, users=users, seed=0)

    def remove_events(self, selection: Selection, *, dry_run: bool) -> Removed:
        """Remove appended interactions, or with `dry_run` list the interactions to remove."""
        return removal_command.remove(self._events, selection, dry_run=dry_run)


def read_label(volume: Volume, label: str) -> str:
    """Look up the version that a label names. Raises VolumeError if there is no such volume."""
    try:
        return volume.read_label(label)
    except LabelError:
        # On a missing volume every label is missing, so name the volume first.
        if not volume.elsewhere:
            volume.list_versions()
        raise


def named(look_up: Callable[[str], str], name: str) -> str:
    """Return the version of this name or label. Errors of `look_up` pass."""
    return name if layout.is_version_name(name) else look_up(name)


def _versions(of: OfVolume | OfService, options: argparse.Namespace) -> None:
    """Print the versions, or write them with parameters and metrics; raises OptionError."""
    if "export" not in options:
        output.versions(of.rows(), as_json=options.json)
        return
    # Manifests take time: a file that can't be written is an error before.
    export.check_path(options.export)
    rows = []
    for row in of.rows():
        _, content = of.version(row.name)
        own = {
            "version": row.name,
            "created_at": row.created_at,
            "labels": " ".join(row.labels),
            "problem": row.problem,
        }
        run = {} if content is None else {"training_run": content["run"]["id"]}
        rows.append({**own, **run} if content is None else version_row(content, **own, **run))
    export.write(rows, options.export)
    output.exported(len(rows), "version", options)


def run(of: OfVolume | OfService, options: argparse.Namespace) -> int:
    """Run one of COMMANDS; returns the exit status."""
    as_json = options.json
    for name in {"base", "version"} & vars(options).keys():
        vars(options)[name] = named(of.read_label, vars(options)[name])
    match options.command:
        case "versions":
            _versions(of, options)
        case "version":
            row, content = of.version(options.version)
            if content is None:
                output.show(row.content(), f"{row.name}: {row.problem}", as_json=as_json)
                return 1
            output.version(content, row.labels, as_json=as_json)
        case "promote":
            previous = of.promote(options.version, label=options.label)
            output.label_moved(options.label, previous, options.version, as_json=as_json)
        case "rollback":
            previous, version = of.rollback(label=options.label)
            output.label_moved(options.label, previous, version, as_json=as_json)
        case "delete":
            of.delete(options.version)
            text = f"{options.version} is deleted"
            output.show({"deleted": options.version}, text, as_json=as_json)
        case "diff":
            found = of.diff(options.base, options.version, users=options.users)
            output.diff(found, as_json=as_json)
        case removal_command.NAME:
            selection = removal_command.selection(options)
            removal_command.show(of.remove_events(selection, dry_run=options.dry_run), options)
    return 0
