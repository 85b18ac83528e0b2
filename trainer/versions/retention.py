"""Which versions to keep on a volume, and the deletion of the others."""

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
    """What is kept whatever happens: versions that a label names or would be rolled back to.

    The newest that are kept may be broken or labelled. No younger version is deleted, since someone may
    be about to make a label name it.
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
    """Names of the versions to delete, oldest first, of all by the time when each was made.

    Of the versions of one second the first counts as the newest; one from the future is young.
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
    """Delete what the policy doesn't keep; returns the deleted versions, oldest first.

    The labels are read again before each deletion, and the deletion itself makes sure that no label
    names the version. A version that can't be deleted is logged and doesn't keep the others from it.
    What others began to write and gave up long ago goes too. A version whose name tells no time that
    there is isn't the trainer's, and is left alone.

    Raises:
        VolumeError: the volume, or one of its labels, can't be read: what it names isn't known then.
    """
    for name in volume.remove_leftovers():
        _log.info("removed %s, which was left behind half-written", name)
    needed = _needed(volume)
    made = {
        # The volume's own clock goes before those of the trainers.
        version.name: version.written_at or version.created_at
        for version in catalogue.list_published(volume)
        if version.created_at > catalogue.NO_TIME
    }
    if len(made) <= policy.keep:
        return []  # without asking for the time, which takes some calls where it isn't here
    deleted = []
    for name in to_delete(made, needed, policy, now=volume.now()):
        if name in _needed(volume):
            continue
        # It may be labelled, or deleted by someone else, in this instant.
        with contextlib.suppress(LabelledVersionError, VersionNotFoundError):
            try:
                volume.delete_version(name)
                deleted.append(name)
            except VolumeError as error:
                _log.warning("version %s can't be deleted: %s", name, error)
    return deleted


def _needed(volume: Volume) -> set[str]:
    """What labels name, and what they would name after a rollback."""
    named = volume.list_labels(strict=True)
    needed = {*named.values()}
    for label in named:
        with contextlib.suppress(NothingToRollBackToError):
            needed.add(volume.rollback_target(label=label))
    return needed
