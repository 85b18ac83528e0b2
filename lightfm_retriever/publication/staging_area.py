"""Directories of what is being written: each has a lock, so that those of killed writers are found."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

from lightfm_retriever.files.regular_files import open_descriptor

_LOCK = "lock"


def make_locked(root: Path) -> tuple[Path, int]:
    """Make a staging directory, and a lock in it that tells others that its writer lives."""
    while True:
        directory = root / f"publish-{secrets.token_hex(8)}"
        directory.mkdir()
        # Before it is locked, another writer may take the directory for abandoned.
        if (lock := _lock(directory)) is not None:
            return directory, lock


def _lock(directory: Path) -> int | None:
    """Take the lock of a staging directory; None when another has it or the directory is gone.

    Its writer and those who would remove it go the same way, so that only one of them gets it.
    """
    path = directory / _LOCK
    with contextlib.ExitStack() as stack, contextlib.suppress(BlockingIOError, FileNotFoundError):
        lock = open_descriptor(path, os.O_CREAT | os.O_RDWR)
        stack.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A lock that was removed between opening and locking it keeps nobody out.
        if os.path.samestat(os.fstat(lock), path.stat()):
            stack.pop_all()
            return lock
    return None


def remove_abandoned(root: Path) -> None:
    """Remove what writers that were killed left in the staging directory."""
    for path in root.iterdir():
        # It may be gone, or another user's, which can't be locked.
        with contextlib.suppress(OSError):
            # Of the entry itself: where a link leads is none of the writers' business.
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode):
                # Of one that is locked the writer lives.
                if (lock := _lock(path)) is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    os.close(lock)
            # A label's temporary file: its writer holds it for milliseconds.
            elif datetime.now(UTC).timestamp() - facts.st_mtime > 3600:
                path.unlink(missing_ok=True)
