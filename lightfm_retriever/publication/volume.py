"""A volume, for publishing versions and managing labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lightfm_retriever.publication import labels, layout, reader, removal, verification
from lightfm_retriever.publication.labels import Verb
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.writer import Clock, utc_now

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Volume:
    """Versions and labels in a folder that all machines have mounted. Threads may share it.

    A method without its own list of errors raises the errors of the function of the same name in
    labels, reader or removal. All of them are PublicationErrors. If the volume can't be read or
    written, it is a VolumeError.

    Attributes:
        folder: versions are staged here, and opened here after they are `fetched`.
        elsewhere: whether the folder is a cache of an object store. The store then has its own clock,
            and machines with other clocks may publish to it.
    """

    elsewhere = False

    def __init__(self, folder: Path, *, clock: Clock = utc_now) -> None:
        self.folder = folder
        self._clock = clock

    def __str__(self) -> str:
        return str(self.folder)

    def list_versions(self) -> list[str]:
        """Return the names of all versions, sorted."""
        return reader.list_versions(self.folder)

    def has_version(self, version: str) -> bool:
        """Return whether the volume has a version."""
        return reader.has_version(self.folder, version)

    def read_manifest(self, version: str) -> Manifest:
        """Read and check the manifest of a version."""
        return reader.read_manifest(self.folder, version)

    def written_at(self, version: str) -> datetime:
        """Return when a version was written, by the clock of `now`; LONG_AGO if it is gone."""
        try:
            written = layout.version_dir(self.folder, version).stat().st_mtime
            return datetime.fromtimestamp(written, UTC)
        except (OSError, ValueError, OverflowError):
            # Some file systems contain times that a datetime can't represent.
            return LONG_AGO

    def now(self) -> datetime:
        """Return the time, by the volume's own clock if it has one."""
        return self._clock()

    def verify(self, version: str) -> Manifest:
        """Check every byte of a version as readers get it, and that its parts fit together."""
        return verification.verify(self.folder, version)

    def read_label(self, label: str) -> str:
        """Return the version that a label names."""
        return labels.read_label(self.folder, label)

    def list_labels(self, *, strict: bool = False) -> dict[str, str]:
        """Return all labels, sorted, and the versions that they name."""
        return labels.list_labels(self.folder, strict=strict)

    def promote(self, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
        """Move a label to a version, and return the version that it named before."""
        return labels.promote(self.folder, version, label=label)

    def swap(self, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
        """Move a label to a version if it still names the expected one."""
        labels.swap(self.folder, version, label=label, expected=expected, verb=verb)

    def rollback_target(self, *, label: str = layout.DEFAULT_LABEL) -> str:
        """Return the version to roll a label back to."""
        return labels.rollback_target(self.folder, label=label)

    def delete_version(self, version: str) -> None:
        """Delete a version that no label names."""
        removal.delete_version(self.folder, version)

    def remove_leftovers(self) -> list[str]:
        """Remove incomplete uploads that were abandoned long ago; returns names for the log.

        In a folder there is nothing to do: staging the next version removes leftovers.
        """
        return []

    @contextmanager
    def fetched(self, *versions: str) -> Iterator[Path]:  # noqa: ARG002 - a folder has them all
        """Yield `folder`, which contains these versions completely within the block.

        For a volume in a folder this checks nothing: opening a version does.

        Raises:
            VersionNotFoundError, InvalidPublicationError: the first version that can't be fetched.
        """
        yield self.folder

    @contextmanager
    def followed(self, label: str) -> Iterator[Path]:  # noqa: ARG002 - a folder has them all
        """Yield `folder` with the label and the version that it names now.

        A version that is damaged or gone is missing there.
        """
        yield self.folder

    def check_writable(self) -> None:
        """Raise VolumeError if publishing would fail. For a folder, staging a version finds out."""

    def upload(self, version: str) -> None:
        """Make a version that was published to `folder` available to all readers."""

    def room(self) -> tuple[int, int] | None:
        """Return free and total bytes; None if the volume has no limit. Raises OSError."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
