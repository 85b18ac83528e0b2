"""What folders of versions hold: how many bytes, where files may be shared by hard links."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from lightfm_retriever.publication import layout


def directories(folder: Path) -> list[Path]:
    """List the folders of versions in a folder; raises OSError."""
    found = []
    for path in folder.iterdir():
        # One entry that can't be looked at doesn't keep the others from being removed.
        with contextlib.suppress(OSError):
            if layout.is_version_name(path.name) and path.is_dir():
                found.append(path)
    return found


def sizes(folders: Iterable[Path]) -> dict[int, int]:
    """Find the size, by inode, of all files below."""
    found = {}
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):
                    facts = (Path(parent) / name).lstat()
                    found[facts.st_ino] = facts.st_size
    return found


def size_of(path: Path) -> int | None:
    """Tell a file's bytes; None where it isn't there."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return None


def shown(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e3:.0f} kB"
