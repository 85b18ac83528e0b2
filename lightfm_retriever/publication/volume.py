"""A volume as those see it who publish to it and look after it."""

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
    """Versions and labels, in a folder that everybody has mounted. Safe for threads.

    Where no errors are told, a method raises as the function of its name in labels, reader or removal
    does: in any case a PublicationError, and a VolumeError when the volume can't be read or written.

    Attributes:
        folder: where versions are staged, and opened once they are `fetched`.
        elsewhere: whether the folder is only a copy. The volume has a clock of its own then, and
            several machines with others may publish to it.
    """

    elsewhere = False

    def __init__(self, folder: Path, *, clock: Clock = utc_now) -> None:
        self.folder = folder
        self._clock = clock

    def __str__(self) -> str:
        return str(self.folder)

    def list_versions(self) -> list[str]:
        """Names of all versions, sorted."""
        return reader.list_versions(self.folder)

    def has_version(self, version: str) -> bool:
        """Whether there is such a version."""
        return reader.has_version(self.folder, version)

    def read_manifest(self, version: str) -> Manifest:
        """A version's manifest, checked."""
        return reader.read_manifest(self.folder, version)

    def written_at(self, version: str) -> datetime:
        """When a version was written, in UTC by the clock of `now`; LONG_AGO for one that is gone."""
        try:
            written = layout.version_dir(self.folder, version).stat().st_mtime
            return datetime.fromtimestamp(written, UTC)
        except (OSError, ValueError, OverflowError):
            # Some file systems hold times of years that there aren't.
            return LONG_AGO

    def now(self) -> datetime:
        """The time, by the volume's own clock where it has one."""
        return self._clock()

    def verify(self, version: str) -> Manifest:
        """Check every byte of a version as everybody gets it, and that its parts fit together."""
        return verification.verify(self.folder, version)

    def read_label(self, label: str) -> str:
        """The version that a label names."""
        return labels.read_label(self.folder, label)

    def list_labels(self, *, strict: bool = False) -> dict[str, str]:
        """All labels, sorted, and what they name."""
        return labels.list_labels(self.folder, strict=strict)

    def promote(self, version: str, *, label: str = layout.DEFAULT_LABEL) -> str | None:
        """Make a label name a version; returns what it named before."""
        return labels.promote(self.folder, version, label=label)

    def swap(self, version: str, *, label: str, expected: str | None, verb: Verb) -> None:
        """Make a label name a version if it still names the expected one."""
        labels.swap(self.folder, version, label=label, expected=expected, verb=verb)

    def rollback_target(self, *, label: str = layout.DEFAULT_LABEL) -> str:
        """The version that a label named before."""
        return labels.rollback_target(self.folder, label=label)

    def delete_version(self, version: str) -> None:
        """Delete a version that no label names."""
        removal.delete_version(self.folder, version)

    def remove_leftovers(self) -> list[str]:
        """Remove what others began to write and gave up long ago; returns names for the log.

        In a folder whoever stages the next version does it.
        """
        return []

    @contextmanager
    def fetched(self, *versions: str) -> Iterator[Path]:  # noqa: ARG002 - a folder has them all
        """`folder`, which has these versions whole meanwhile.

        In a folder who opens one finds out whether it is whole.

        Raises:
            VersionNotFoundError, InvalidPublicationError: of the first that can't be had.
        """
        yield self.folder

    @contextmanager
    def followed(self, label: str) -> Iterator[Path]:  # noqa: ARG002 - a folder has them all
        """`folder`, whose label names what this one names now, and which has that version meanwhile.

        One that is damaged or gone is missing there.
        """
        yield self.folder

    def check_writable(self) -> None:
        """Raise VolumeError if it is known already that nothing can be published; staging tells."""

    def upload(self, version: str) -> None:
        """Let everybody have a version that was published to `folder`."""

    def room(self) -> tuple[int, int] | None:
        """Bytes that are free, and all; None where a volume has no such bounds. Raises OSError."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
