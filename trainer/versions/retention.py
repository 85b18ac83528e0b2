"""Decides which versions a volume keeps, and deletes the others."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Mapping
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
    """How many versions to keep, and how old a version must be before it may be deleted.

    In any case, versions stay that a label names, or would name after a rollback. The newest versions
    count even if they are damaged or labelled. A version younger than `min_age` stays, because an
    operator may be about to point a label at it.
    """

    keep: Annotated[int, Option("number of newest versions that are never deleted", ge=1)] = 5
    min_age: Annotated[
        timedelta, Option("keep versions that are younger than this", metavar="DURATION")
    ] = timedelta(hours=1)
    max_age: Annotated[
        timedelta | None,
        Option(
            "keep versions up to this age (default: delete all that --keep and --min-age allow)",
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


def to_delete(
    versions: Mapping[str, datetime], needed: Collection[str], policy: RetentionPolicy, *, now: datetime
) -> list[str]:
    """Return the names of the versions to delete, oldest first.

    Of versions with the same time, the first counts as the newest. A future time counts as young.

    Args:
        versions: time of publication of each version, by name.
        needed: names of versions that must stay.
    """
    newest = sorted(versions, key=lambda name: versions[name], reverse=True)
    kept_until = policy.min_age if policy.max_age is None else policy.max_age
    doomed = [
        name
        for name in newest[policy.keep :]
        if name not in needed and now - versions[name] >= kept_until
    ]
    return doomed[::-1]


def collect(volume: Volume, policy: RetentionPolicy) -> list[str]:
    """Delete the versions that the policy doesn't keep, and old leftovers of unfinished writes.

    Reads the labels again before each deletion. The deletion itself also refuses a version that a label
    names. If a version can't be deleted, logs it and continues with the others. Leaves a version alone
    if its name has no real time: the trainer didn't write it.

    Returns:
        The deleted versions, oldest first.

    Raises:
        VolumeError: the volume or a label can't be read, so the labelled versions are unknown.
    """
    for name in volume.remove_leftovers():
        _log.info("removed %s, which was left behind half-written", name)
    needed = _needed(volume)
    made = {
        # An object store's clock goes before the trainers' clocks.
        version.name: version.written_at or version.created_at
        for version in catalogue.list_published(volume)
        if version.created_at > catalogue.NO_TIME
    }
    if len(made) <= policy.keep:
        return []  # without `volume.now()`, which takes several calls on an object store
    deleted = []
    for name in to_delete(made, needed, policy, now=volume.now()):
        if name in _needed(volume):
            continue
        # Another process may label or delete the version at this moment.
        with contextlib.suppress(LabelledVersionError, VersionNotFoundError):
            try:
                volume.delete_version(name)
                deleted.append(name)
            except VolumeError as error:
                _log.warning("version %s can't be deleted: %s", name, error)
    return deleted


def _needed(volume: Volume) -> set[str]:
    """Return the versions that labels name, and those that they would name after a rollback."""
    named = volume.list_labels(strict=True)
    needed = {*named.values()}
    for label in named:
        with contextlib.suppress(NothingToRollBackToError):
            needed.add(volume.rollback_target(label=label))
    return needed
