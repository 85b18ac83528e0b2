"""Sizes of folders of versions, whose files may be shared by hard links."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from lightfm_retriever.publication import layout


def directories(folder: Path) -> list[Path]:
    """Return the folders of versions in a folder. Raises OSError."""
    found = []
    for path in folder.iterdir():
        # An entry that can't be checked must not prevent the removal of others.
        with contextlib.suppress(OSError):
            if layout.is_version_name(path.name) and path.is_dir():
                found.append(path)
    return found


def sizes(folders: Iterable[Path]) -> dict[int, int]:
    """Return the sizes of all files below some folders, by inode."""
    found = {}
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):
                    facts = (Path(parent) / name).lstat()
                    found[facts.st_ino] = facts.st_size
    return found


def size_of(path: Path) -> int | None:
    """Return the size of a file in bytes; None if it doesn't exist."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return None


def shown(count: int) -> str:
    """Format a number of bytes for people."""
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e3:.0f} kB"
