"""Which versions to keep on a volume, and the deletion of the others."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.publication.errors import (
    LabelledVersionError,
    NothingToRollBackToError,
    VersionNotFoundError,
    VolumeError,
)
from lightfm_retriever.publication.volume import Volume
from trainer.errors import OptionError
from trainer.versions import catalogue

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """What is kept whatever happens: versions that a label names or would be rolled back to.

    The newest that are kept may be broken or labelled. No younger version is deleted, since someone may
    be about to make a label name it.
    """

    keep: Annotated[int, Option("newest versions to keep at the least", ge=1)] = 5
    min_age: Annotated[timedelta, Option("keep everything younger than this", metavar="DURATION")] = (
        timedelta(hours=1)
    )
    max_age: Annotated[
        timedelta | None,
        Option(
            "keep everything up to this age (default: as little as --keep and --min-age allow)",
            metavar="DURATION",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)
        if self.min_age < timedelta(0):
            raise OptionError("--min-age", str(self.min_age), "0 or more")
        if self.max_age is not None and self.max_age < self.min_age:
            raise OptionError("--max-age", str(self.max_age), f"at least --min-age, {self.min_age}")


@dataclass(frozen=True)
class VersionInfo:
    """What the decision about one version depends on.

    Attributes:
        name: the version.
        created_at: by the volume's own clock; where it has none by the version's manifest, or by its
            name when that can't be read.
        labels: that name it.
        rollback_of: labels that would name it after a rollback.
    """

    name: str
    created_at: datetime
    labels: Sequence[str]
    rollback_of: Sequence[str] = ()


def to_delete(versions: Sequence[VersionInfo], policy: RetentionPolicy, *, now: datetime) -> list[str]:
    """Names of the versions to delete, oldest first.

    Of the versions of one second the first counts as the newest; one from the future is young.
    """
    newest = sorted(versions, key=lambda version: version.created_at, reverse=True)
    kept_until = policy.min_age if policy.max_age is None else policy.max_age
    doomed = [
        version.name
        for version in newest[policy.keep :]
        if not version.labels and not version.rollback_of and now - version.created_at >= kept_until
    ]
    return doomed[::-1]


def survey(volume: Volume) -> list[VersionInfo]:
    """Every version of a volume, newest first, but for those whose name tells no time that there is.

    Such a one isn't the trainer's, so it is left alone.

    Raises:
        VolumeError: the volume, or one of its labels, can't be read: what it names isn't known then.
    """
    named = volume.list_labels(strict=True)
    targets = _rollback_targets(volume, named)
    return [
        VersionInfo(
            name=version.name,
            created_at=version.written_at or version.created_at,
            labels=[label for label, target in named.items() if target == version.name],
            rollback_of=[label for label, target in targets.items() if target == version.name],
        )
        for version in catalogue.list_published(volume)
        if version.created_at > catalogue.NO_TIME
    ]


def collect(volume: Volume, policy: RetentionPolicy) -> list[str]:
    """Delete what the policy doesn't keep; returns the deleted versions, oldest first.

    The labels are read again before each deletion, and the deletion itself makes sure that no label
    names the version. A version that can't be deleted is logged and doesn't keep the others from it.
    What others began to write and gave up long ago goes too.

    Raises:
        VolumeError: the volume, or one of its labels, can't be read; what was deleted stays so.
    """
    for name in volume.remove_leftovers():
        _log.info("removed %s, which was left behind half-written", name)
    found = survey(volume)
    if len(found) <= policy.keep:
        return []  # without asking for the time, which takes some calls where it isn't here
    deleted = []
    for name in to_delete(found, policy, now=volume.now()):
        named = volume.list_labels(strict=True)
        if name in named.values() or name in _rollback_targets(volume, named).values():
            continue
        # It may be labelled, or deleted by someone else, in this instant.
        with contextlib.suppress(LabelledVersionError, VersionNotFoundError):
            try:
                volume.delete_version(name)
                deleted.append(name)
            except VolumeError as error:
                _log.warning("version %s can't be deleted: %s", name, error)
    return deleted


def _rollback_targets(volume: Volume, named: dict[str, str]) -> dict[str, str]:
    targets = {}
    for label in named:
        with contextlib.suppress(NothingToRollBackToError):
            targets[label] = volume.rollback_target(label=label)
    return targets
