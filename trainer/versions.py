"""The versions on a volume and the labels that name them, for the command line and the service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from publication import labels, layout, reader
from publication.errors import LabelError, PublicationError
from publication.manifest import Manifest


@dataclass(frozen=True)
class PublishedVersion:
    """One version; `problem` says why it has no manifest, and is empty when it has one."""

    name: str
    labels: list[str]
    manifest: Manifest | None
    problem: str


def list_published(volume: Path) -> list[PublishedVersion]:
    """All versions, newest first. Only manifests are read. Raises VolumeError."""
    named = labels.list_labels(volume)
    published = []
    for name in reversed(reader.list_versions(volume)):
        own = [label for label, target in named.items() if target == name]
        try:
            published.append(PublishedVersion(name, own, reader.read_manifest(volume, name), ""))
        except PublicationError as error:
            published.append(PublishedVersion(name, own, None, str(error)))
    return published


def promote(volume: Path, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
    """Verify a version and make a label name it; returns what it named before.

    Raises:
        PublicationError: the label stays as it was.
    """
    previous = _current(volume, label)
    reader.verify(volume, version)
    labels.promote(volume, version, label=label)
    return previous


def rollback(volume: Path, *, label: str = layout.DEFAULT_LABEL) -> tuple[str | None, str]:
    """Verify what a label named before and go back to it; returns what it named, and names now.

    Raises:
        PublicationError: the label stays as it was.
    """
    previous = _current(volume, label)
    reader.verify(volume, labels.rollback_target(volume, label=label))
    return previous, labels.rollback(volume, label=label)


def _current(volume: Path, label: str) -> str | None:
    try:
        return labels.read_label(volume, label)
    except LabelError:
        return None
