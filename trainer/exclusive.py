"""A lock that keeps a directory to one process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from lightfm_retriever.files.regular_files import open_descriptor


def hold(directory: Path, name: str) -> contextlib.ExitStack:
    """Hold the lock of a directory, by a file in it that is made; closing what is returned lets go.

    Raises BlockingIOError when another process holds it, and OSError when the file can't be opened.
    """
    with contextlib.ExitStack() as stack:
        file = open_descriptor(directory / name, os.O_CREAT | os.O_RDWR)
        stack.callback(_let_go, file)
        # The directory too, since who removes the file would take the lock away.
        own = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(_let_go, own)
        for descriptor in (file, own):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return stack.pop_all()


def _let_go(descriptor: int) -> None:
    # A child that was forked meanwhile may still have the file open.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
