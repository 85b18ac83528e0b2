"""Locks a directory for one process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from lightfm_retriever.files.regular_files import open_descriptor


def hold(directory: Path, name: str) -> contextlib.ExitStack:
    """Lock a directory, and a lock file in it, which is created if it is missing.

    Returns:
        A context. Closing it releases the lock.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the lock file can't be opened.
    """
    with contextlib.ExitStack() as stack:
        file = open_descriptor(directory / name, os.O_CREAT | os.O_RDWR)
        stack.callback(_let_go, file)
        # Lock the directory too: removing the file would otherwise remove the lock.
        own = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(_let_go, own)
        for descriptor in (file, own):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return stack.pop_all()


def _let_go(descriptor: int) -> None:
    # Closing isn't enough: a process that was forked in the meantime may still have the file open.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
