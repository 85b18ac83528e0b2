"""Recognise verified files again without reading them."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import says_nothing
from retriever.errors import RetrieverError


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """Identifies the content of one file.

    It doesn't contain the device, which changes when a volume is mounted again. A writer can set
    `modified`, but only the kernel sets `changed`.
    """

    inode: int
    size: int
    modified: int
    changed: int


Files = dict[str, FileState]
"""State by file name. Files that don't exist are missing."""


class FilesChangedError(RetrieverError):
    """The files of a version changed after they were verified."""


def names_of(directory: Path) -> list[str]:
    """Return the names of a version's files. Raises ManifestError."""
    return [*manifest.read(directory).files, layout.MANIFEST]


def look(directory: Path, names: Iterable[str]) -> Files:
    """Return the state of some files. Raises OSError if it can't be found out."""
    found = {}
    for name in names:
        try:
            found[name] = state_of(directory / name)
        except OSError as error:
            # For instance, a loop of links: it counts as a missing file.
            if says_nothing(error) and error.errno != errno.ESTALE:
                raise
    return found


def state_of(path: Path) -> FileState:
    """Return the current state of a file. Raises OSError."""
    own = path.stat()
    return FileState(own.st_ino, own.st_size, own.st_mtime_ns, own.st_ctime_ns)


def difference(verified: Files, found: Files) -> str:
    """Return as text which files vanished or changed; empty for none."""
    vanished = sorted(verified.keys() - found.keys())
    changed = sorted(name for name, own in verified.items() if found.get(name, own) != own)
    told = [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''} {what}"
        for names, what in ((vanished, "vanished"), (changed, "changed"))
        if names
    ]
    return " and ".join(told)


def check(directory: Path, verified: Files) -> None:
    """Raise FilesChangedError unless all files are still the verified files."""
    if told := difference(verified, look(directory, verified)):
        raise FilesChangedError(f"{directory}: {told} after the version was verified")
