"""Checks that a folder of results can be written, before the hours of work that make them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from trainer.errors import OptionError


def check(directory: Path) -> None:
    """Raise OptionError if the folder of --output can't be made or written. Makes nothing.

    Permissions alone don't tell: root may write to folders of /proc and of a read-only disk.
    """
    try:
        there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    except OSError as error:
        raise _wrong(directory, directory, error) from error
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise _wrong(directory, there, error) from error


def _wrong(directory: Path, there: Path, error: OSError) -> OptionError:
    expected = f"a folder that can be written; {there}: {error.strerror or error}"
    return OptionError("--output", str(directory), expected)
