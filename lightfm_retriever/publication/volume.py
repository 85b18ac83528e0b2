"""A volume as those see it who publish to it and look after it, whether it is a folder or elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from lightfm_retriever.publication import labels, layout, reader, removal, verification
from lightfm_retriever.publication.labels import Verb
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.writer import Clock, utc_now

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Volume(Protocol):
    """Versions and labels. Safe for threads.

    Where no errors are told, a method raises as the function of its name in labels, reader or removal
    does: in any case a PublicationError, and a VolumeError when the volume can't be read or written.
    """

    @property
    def folder(self) -> Path:
        """A volume in a folder: where versions are staged, and opened once they are `fetched`."""

    @property
    def elsewhere(self) -> bool:
        """Whether the folder is only a copy.

        The volume has a clock of its own then, and several machines with others may publish to it.
        """

    def list_versions(self) -> list[str]:
        """Names of all versions, sorted."""

    def has_version(self, version: str) -> bool:
        """Whether there is such a version."""

    def read_manifest(self, version: str) -> Manifest:
        """A version's manifest, checked."""

    def written_at(self, version: str) -> datetime:
        """When a version was written, in UTC by the clock of `now`.

        Long ago for one that is gone, or whose time is of no year that there is.
        """

    def now(self) -> datetime:
        """The time, by the volume's own clock where it has one."""

    def verify(self, version: str) -> Manifest:
        """Check every byte of a version as everybody gets it, and that its parts fit together."""

    def read_label(self, label: str) -> str:
        """The version that a label names."""

    def list_labels(self, *, strict: bool = False) -> dict[str, str]:
        """All labels, sorted, and what they name."""

    def promote(self, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
        """Make a label name a version; returns what it named before."""

    def swap(self, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
        """Make a label name a version if it still names the expected one."""

    def rollback_target(self, *, label: str = layout.DEFAULT_LABEL) -> str:
        """The version that a label named before."""

    def delete_version(self, version: str) -> None:
        """Delete a version that no label names."""

    def remove_leftovers(self) -> list[str]:
        """Remove what others began to write and gave up long ago; returns names for the log."""

    def fetched(self, *versions: str) -> AbstractContextManager[Path]:
        """`folder`, which has these versions whole meanwhile.

        Raises:
            VersionNotFoundError, InvalidPublicationError: of the first that can't be had.
        """

    def followed(self, label: str) -> AbstractContextManager[Path]:
        """`folder`, whose label names what this one names now, and which has that version meanwhile.

        One that is damaged or gone is missing there.
        """

    def check_writable(self) -> None:
        """Raise VolumeError if it is known already that nothing can be published."""

    def upload(self, version: str) -> None:
        """Let everybody have a version that was published to `folder`."""

    def room(self) -> tuple[int, int] | None:
        """Bytes that are free, and all; None where a volume has no such bounds. Raises OSError."""


class FolderVolume:
    """A volume in a folder, which everybody has mounted. Its methods are those of Volume."""

    elsewhere = False

    def __init__(self, folder: Path, *, clock: Clock = utc_now) -> None:
        self._folder = folder
        self._clock = clock

    def __str__(self) -> str:
        return str(self._folder)

    @property
    def folder(self) -> Path:
        return self._folder

    def list_versions(self) -> list[str]:
        return reader.list_versions(self._folder)

    def has_version(self, version: str) -> bool:
        return reader.has_version(self._folder, version)

    def read_manifest(self, version: str) -> Manifest:
        return reader.read_manifest(self._folder, version)

    def written_at(self, version: str) -> datetime:
        try:
            written = layout.version_dir(self._folder, version).stat().st_mtime
            return datetime.fromtimestamp(written, UTC)
        except (OSError, ValueError, OverflowError):
            # Some file systems hold times of years that there aren't.
            return _LONG_AGO

    def now(self) -> datetime:
        return self._clock()

    def verify(self, version: str) -> Manifest:
        return verification.verify(self._folder, version)

    def read_label(self, label: str) -> str:
        return labels.read_label(self._folder, label)

    def list_labels(self, *, strict: bool = False) -> dict[str, str]:
        return labels.list_labels(self._folder, strict=strict)

    def promote(self, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
        return labels.promote(self._folder, version, label=label)

    def swap(self, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
        labels.swap(self._folder, version, label=label, expected=expected, verb=verb)

    def rollback_target(self, *, label: str = layout.DEFAULT_LABEL) -> str:
        return labels.rollback_target(self._folder, label=label)

    def delete_version(self, version: str) -> None:
        removal.delete_version(self._folder, version)

    def remove_leftovers(self) -> list[str]:
        """None: whoever stages the next version does it."""
        return []

    @contextmanager
    def fetched(self, *versions: str) -> Iterator[Path]:  # noqa: ARG002 - the protocol's
        """All are here, and who opens one finds out whether it is whole."""
        yield self._folder

    @contextmanager
    def followed(self, label: str) -> Iterator[Path]:  # noqa: ARG002 - the protocol's
        yield self._folder

    def check_writable(self) -> None:
        """Nothing is: staging tells."""

    def upload(self, version: str) -> None:
        """Everybody has it."""

    def room(self) -> tuple[int, int]:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
