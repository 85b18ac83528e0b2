"""The versions on a volume and the labels that name them, for the command line and the service."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import (
    LabelError,
    PublicationError,
    VersionNotFoundError,
    VolumeError,
)
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.volume import Volume

NO_TIME = datetime.min.replace(tzinfo=UTC)
"""Stands for the time of a version that has no manifest, and a month 13 or the like in its name."""


@dataclass(frozen=True)
class PublishedVersion:
    """One version.

    Attributes:
        name: the version.
        labels: that name it.
        manifest: None when it can't be read; `problem` says why, and is empty when it can.
        written_at: by the clock of a volume that is elsewhere; None where it has none of its own.
    """

    name: str
    labels: list[str]
    manifest: Manifest | None
    problem: str
    written_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        """When it was published, to the second, in UTC; by its name when it has no manifest."""
        if self.manifest is not None:
            return datetime.fromisoformat(self.manifest.created_at).astimezone(UTC)
        try:
            return layout.version_time(self.name)
        except ValueError:
            return NO_TIME

    def row(self) -> VersionRow:
        """The same as it is listed."""
        facts = self.manifest
        if facts is None:
            return VersionRow(name=self.name, labels=self.labels, problem=self.problem)
        return VersionRow(
            name=self.name,
            labels=self.labels,
            created_at=time_text(self.created_at),
            items=facts.items,
            users=facts.users,
            metrics=dict(sorted(facts.metrics.items())),
            recall_at_10={name: index.recall_at_10 for name, index in sorted(facts.indexes.items())},
        )


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """A listed version, the same whether a volume or a service was asked.

    Attributes:
        name, labels, problem: see PublishedVersion; where there is a problem nothing else is known.
        created_at: when it was published, RFC 3339 in UTC.
        items, users: how many it has.
        metrics, recall_at_10: by name and by the index's, in the order of these: a message keeps none.
    """

    name: str
    labels: list[str]
    problem: str = ""
    created_at: str | None = None
    items: int | None = None
    users: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    recall_at_10: dict[str, float] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        content = asdict(self)
        return {"version": content.pop("name"), **content}


def list_published(volume: Volume) -> list[PublishedVersion]:
    """All versions, newest first. Only manifests are read. Raises VolumeError.

    A version's time has whole seconds. Of the versions of one second that is the newer whose run
    started later, and of the same run's the one whose directory was written later. Where the volume has
    a clock of its own that one comes first: those of the trainers may differ.
    """
    named = volume.list_labels()
    published = []
    for name in volume.list_versions():
        # One may have been deleted since they were listed.
        with contextlib.suppress(VersionNotFoundError):
            published.append(_read(volume, name, named))
    return sorted(published, key=lambda version: _age_key(volume, version), reverse=True)


def get(volume: Volume, version: str) -> PublishedVersion:
    """One version, of which only the manifest is read; VersionNotFoundError, VolumeError."""
    return _read(volume, version, volume.list_labels())


def promote(volume: Volume, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
    """Verify a version and make a label name it; returns what it named before.

    Raises:
        PublicationError: the label stays as it was.
    """
    # A label that can't be is known before every byte is read.
    labels.check_name(label)
    volume.verify(version)
    return volume.promote(version, label=label)


def rollback(volume: Volume, *, label: str = layout.DEFAULT_LABEL) -> tuple[str | None, str]:
    """Verify what a label named before and go back to it; returns what it named, and names now.

    Raises:
        LabelMovedError: another process moved the label in the meantime; it stays there.
        PublicationError: the label stays as it was.
    """
    try:
        previous = volume.read_label(label)
    except LabelError:
        previous = None
    target = volume.rollback_target(label=label)
    volume.verify(target)
    volume.swap(target, label=label, expected=previous, verb="rollback")
    return previous, target


def time_text(time: datetime) -> str:
    """Say a time in UTC as RFC 3339 does."""
    return time.isoformat().replace("+00:00", "Z")


def _read(volume: Volume, name: str, named: dict[str, str]) -> PublishedVersion:
    own = [label for label, target in named.items() if target == name]
    try:
        manifest, problem = volume.read_manifest(name), ""
    except PublicationError as error:
        # A version that was deleted while it was read is none, not a broken one.
        if not _may_be_there(volume, name):
            raise VersionNotFoundError(name, str(volume)) from error
        manifest, problem = None, str(error)
    written_at = volume.written_at(name) if volume.elsewhere else None
    return PublishedVersion(name, own, manifest, problem, written_at)


def _may_be_there(volume: Volume, name: str) -> bool:
    try:
        return volume.has_version(name)
    except VolumeError:
        if volume.elsewhere:
            raise
        # Of a folder that is one entry, which says nothing about the other versions.
        return True


def _age_key(volume: Volume, version: PublishedVersion) -> tuple[datetime, datetime, datetime, str]:
    if version.written_at is not None:
        return version.written_at, version.created_at, version.created_at, version.name
    started_at = version.created_at
    if version.manifest is not None:
        with contextlib.suppress(ValueError):
            started_at = datetime.fromisoformat(version.manifest.run.started_at)
        if started_at.tzinfo is None:
            started_at = started_at.replace(tzinfo=UTC)
    return version.created_at, started_at, volume.written_at(version.name), version.name
