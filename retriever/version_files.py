"""What tells files from others without reading them, so that verified ones are known again."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import says_nothing
from retriever.errors import RetrieverError


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """Of one file. Not the device, which is another one when a volume is mounted anew.

    Whoever writes a file can set `modified`; `changed` only the kernel sets.
    """

    inode: int
    size: int
    modified: int
    changed: int


Files = dict[str, FileState]
"""By name; those that aren't there are missing."""


class FilesChangedError(RetrieverError):
    """A version's files aren't those that were verified."""


def names_of(directory: Path) -> list[str]:
    """The files of a version; raises ManifestError."""
    return [*manifest.read(directory).files, layout.MANIFEST]


def look(directory: Path, names: Iterable[str]) -> Files:
    """Look at some files; OSError when that can't be told."""
    found = {}
    for name in names:
        try:
            found[name] = state_of(directory / name)
        except OSError as error:
            # A loop of links in its place, for instance, is no file either.
            if says_nothing(error) and error.errno != errno.ESTALE:
                raise
    return found


def state_of(path: Path) -> FileState:
    """What tells a file from others now; raises OSError."""
    own = path.stat()
    return FileState(own.st_ino, own.st_size, own.st_mtime_ns, own.st_ctime_ns)


def difference(verified: Files, found: Files) -> str:
    """Which files vanished or changed, in words; empty for none."""
    vanished = sorted(verified.keys() - found.keys())
    changed = sorted(name for name, own in verified.items() if found.get(name, own) != own)
    told = [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''} {what}"
        for names, what in ((vanished, "vanished"), (changed, "changed"))
        if names
    ]
    return " and ".join(told)


def check(directory: Path, verified: Files) -> None:
    """Raise FilesChangedError unless all files are those that were verified."""
    if told := difference(verified, look(directory, verified)):
        raise FilesChangedError(f"{directory}: {told} since it was verified")
