"""Lists the versions on a volume and moves the labels that name them."""

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
"""Time of a version without a manifest, whose name has no real time: a month 13, for instance."""


@dataclass(frozen=True)
class PublishedVersion:
    """A version on a volume.

    Attributes:
        name: name of the version.
        labels: labels that name the version.
        manifest: None when the manifest can't be read.
        problem: why the manifest can't be read; empty when it can.
        written_at: when the version was written, by the clock of an object store; None for a folder.
    """

    name: str
    labels: list[str]
    manifest: Manifest | None
    problem: str
    written_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        """Time of publication, in whole seconds, in UTC. Without a manifest, the name tells it."""
        if self.manifest is not None:
            return datetime.fromisoformat(self.manifest.created_at).astimezone(UTC)
        try:
            return layout.version_time(self.name)
        except ValueError:
            return NO_TIME

    def row(self) -> VersionRow:
        """Return the version's row in a list."""
        facts = self.manifest
        if facts is None:
            return VersionRow(name=self.name, labels=self.labels, problem=self.problem)
        test = facts.evaluation
        return VersionRow(
            name=self.name,
            labels=self.labels,
            created_at=time_text(self.created_at),
            items=facts.items,
            users=facts.users,
            metrics=dict(sorted(facts.metrics.items())),
            recall_at_10={name: index.recall_at_10 for name, index in sorted(facts.indexes.items())},
            model_family=facts.family,
            model_kind=facts.kind,
            errors={} if test is None else dict(sorted(test.errors.items())),
            test="" if test is None else test.test,
        )


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """A version in a list. A volume and a service give the same row.

    Attributes:
        name, labels, problem: see PublishedVersion. With a problem, the other fields are empty.
        created_at: time of publication, RFC 3339 in UTC.
        items, users: numbers of items and users.
        metrics: metrics by name, sorted, because a protobuf map has no order.
        recall_at_10: recall@10 by name of the index, sorted; empty for an item-item model.
        model_family, model_kind: of the manifest; the family is empty in older versions.
        errors: standard errors of metrics by name, sorted.
        test: fingerprint of the test, equal for versions that took the same test; "" if unknown.
    """

    name: str
    labels: list[str]
    problem: str = ""
    created_at: str | None = None
    items: int | None = None
    users: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    recall_at_10: dict[str, float] = field(default_factory=dict)
    model_family: str = ""
    model_kind: str = ""
    errors: dict[str, float] = field(default_factory=dict)
    test: str = ""

    def content(self) -> dict[str, Any]:
        """Return the row as a mapping that JSON can hold."""
        content = asdict(self)
        return {"version": content.pop("name"), **content}


def list_published(volume: Volume) -> list[PublishedVersion]:
    """Return all versions, newest first. Reads only their manifests. Raises VolumeError.

    Times of publication have whole seconds. Of versions with the same time, the newer one is of the
    training run that started later, and then the one whose directory was written later. On an object
    store, the store's clock decides first, because the trainers' clocks may differ.
    """
    named = volume.list_labels()
    published = []
    for name in volume.list_versions():
        # A version may have been deleted since the listing.
        with contextlib.suppress(VersionNotFoundError):
            published.append(_read(volume, name, named))
    return sorted(published, key=lambda version: _age_key(volume, version), reverse=True)


def get(volume: Volume, version: str) -> PublishedVersion:
    """Return one version. Reads only its manifest. Raises VersionNotFoundError, VolumeError."""
    return _read(volume, version, volume.list_labels())


def promote(volume: Volume, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
    """Verify a version and point a label at it.

    Returns:
        The version that the label named before; None if there was none.

    Raises:
        PublicationError: the version or the label can't be used. The label stays as it was.
    """
    # Check the label first: verifying reads every byte of the version.
    labels.check_name(label)
    volume.verify(version)
    return volume.promote(version, label=label)


def rollback(volume: Volume, *, label: str = layout.DEFAULT_LABEL) -> tuple[str | None, str]:
    """Point a label back at the version that it named before, after verifying that version.

    Returns:
        The version that the label named until now (None if unreadable), and the one that it names now.

    Raises:
        LabelMovedError: another process moved the label in the meantime. The label stays there.
        PublicationError: the label can't be rolled back. It stays as it was.
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
    """Format a time in UTC as RFC 3339."""
    return time.isoformat().replace("+00:00", "Z")


def _read(volume: Volume, name: str, named: dict[str, str]) -> PublishedVersion:
    own = [label for label, target in named.items() if target == name]
    try:
        manifest, problem = volume.read_manifest(name), ""
    except PublicationError as error:
        # A version that was deleted during the reading is missing, not damaged.
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
        # In a folder, one unreadable entry says nothing about the other versions.
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
