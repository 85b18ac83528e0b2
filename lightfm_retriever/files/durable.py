"""File system operations that survive a crash of the machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lightfm_retriever.files.regular_files import create_regular, open_descriptor

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def fsync_file(path: Path) -> None:
    """Flush a file's content and size to the disk."""
    _flush(open_descriptor(path))


def fsync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk: without it a rename may be lost."""
    _flush(os.open(path, os.O_RDONLY | os.O_DIRECTORY))


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(
    temporary: Path, content: ReadableBuffer, path: Path, *, mode: int | None = None
) -> None:
    """Write a temporary file, rename it to `path`, and flush both to the disk. Raises OSError.

    The default `mode` is 0o644 without the bits of the process's umask.
    """
    try:
        with create_regular(temporary) as output:
            output.write(content)
            output.flush()
            if mode is not None:
                os.fchmod(output.fileno(), mode)
            os.fsync(output.fileno())
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make a directory that every user may enter, and its parents. It may exist already."""
    if path.is_dir():
        return
    make_directory(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        return
    # Not by `mkdir`, because the process's umask would remove bits of its mode.
    os.chmod(path, 0o755)  # noqa: S103 - the retriever may run as another user
    fsync_directory(path.parent)
