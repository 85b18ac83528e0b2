"""Disks that run full, or hang."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_DETACH = 2


def fill(disk: Path, *, leave: int) -> None:
    """Fill a disk but for so many bytes."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    state = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - leave)


@contextlib.contextmanager
def hanging(folder: Path) -> Iterator[None]:
    """Have everybody who looks into a folder wait meanwhile: a file system that nobody answers for."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        answers = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no file system can be made to hang here: {error}")
    try:
        options = f"fd={answers},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"hanging", str(folder).encode(), b"fuse", 0, options):
            pytest.skip(f"nothing can be mounted here: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            libc.umount2(str(folder).encode(), _DETACH)
    finally:
        os.close(answers)
