"""The versions on a volume and the labels that name them, for the command line and the service."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from publication import labels, layout, reader, removal
from publication.errors import PublicationError, VersionNotFoundError
from publication.manifest import Manifest

NO_TIME = datetime.min.replace(tzinfo=UTC)
"""Stands for the time of a version that has no manifest, and a month 13 or the like in its name."""


@dataclass(frozen=True)
class PublishedVersion:
    """One version; `problem` says why it has no manifest, and is empty when it has one."""

    name: str
    labels: list[str]
    manifest: Manifest | None
    problem: str

    @property
    def created_at(self) -> datetime:
        """When it was published, to the second, in UTC; by its name when it has no manifest."""
        if self.manifest is not None:
            return datetime.fromisoformat(self.manifest.created_at).astimezone(UTC)
        try:
            return layout.version_time(self.name)
        except ValueError:
            return NO_TIME


def list_published(volume: Path) -> list[PublishedVersion]:
    """All versions, newest first. Only manifests are read. Raises VolumeError.

    A version's time has whole seconds. Of the versions of one second that is the newer whose run
    started later, and of the same run's the one whose directory was written later.
    """
    named = labels.list_labels(volume)
    published = []
    for name in reader.list_versions(volume):
        try:
            published.append(_read(volume, name, named))
        except VersionNotFoundError:
            continue  # deleted since they were listed
    return sorted(published, key=lambda version: _age_key(volume, version), reverse=True)


def get(volume: Path, version: str) -> PublishedVersion:
    """One version. Only its manifest is read.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
    """
    return _read(volume, version, labels.list_labels(volume))


def delete(volume: Path, version: str) -> None:
    """Delete a version that no label names; see publication.removal.delete_version.

    Raises:
        PublicationError: VersionNotFoundError, LabelledVersionError or VolumeError.
    """
    removal.delete_version(volume, version)


def promote(volume: Path, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
    """Verify a version and make a label name it; returns what it named before.

    Raises:
        PublicationError: the label stays as it was.
    """
    # A label that can't be is known before every byte is read.
    labels.check_name(label)
    reader.verify(volume, version)
    return labels.promote(volume, version, label=label)


def rollback(volume: Path, *, label: str = layout.DEFAULT_LABEL) -> tuple[str | None, str]:
    """Verify what a label named before and go back to it; returns what it named, and names now.

    Raises:
        LabelMovedError: another process moved the label in the meantime; it stays there.
        PublicationError: the label stays as it was.
    """
    previous = labels.read_label_or_none(volume, label)
    target = labels.rollback_target(volume, label=label)
    reader.verify(volume, target)
    labels.swap(volume, target, label=label, expected=previous, verb="rollback")
    return previous, target


def _read(volume: Path, name: str, named: dict[str, str]) -> PublishedVersion:
    own = [label for label, target in named.items() if target == name]
    try:
        return PublishedVersion(name, own, reader.read_manifest(volume, name), "")
    except PublicationError as error:
        # A version that was deleted while it was read is none, not a broken one.
        if not reader.has_version(volume, name):
            raise VersionNotFoundError(name, volume) from error
        return PublishedVersion(name, own, None, str(error))


def _age_key(volume: Path, version: PublishedVersion) -> tuple[datetime, datetime, int, str]:
    started_at = version.created_at
    if version.manifest is not None:
        with contextlib.suppress(ValueError):
            started_at = datetime.fromisoformat(version.manifest.run.started_at)
        if started_at.tzinfo is None:
            started_at = started_at.replace(tzinfo=UTC)
    try:
        written_at = layout.version_dir(volume, version.name).stat().st_mtime_ns
    except OSError:
        written_at = 0
    return version.created_at, started_at, written_at, version.name
