"""Takes all file descriptors of running processes, by connections to them, and gives them back."""

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator, Sequence

_LOOK_SECONDS = 0.02
# Descriptors in addition to the connections: fewer than a version needs.
ROOM = 20
# These connections block callers that connect again, so open only a few at a time.
_AT_ONCE = 8


@contextlib.contextmanager
def limited(pids: Sequence[int]) -> Iterator[None]:
    """Limit processes to ROOM more descriptors than they have."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    try:
        for pid, (_, hard) in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (_opened(pid) + ROOM, hard))
        yield
    finally:
        for pid, limits in before.items():
            # The process may have ended.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def taken(target: str, pids: Sequence[int], *, seconds: float) -> Iterator[int]:
    """Open connections until none of the processes that listen there has a descriptor left.

    Yields the number of connections, and closes them after the block. Raises TimeoutError.
    """
    host, port = target.split(":")
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        count = 0
        while any(_opened(pid) < _limit(pid) for pid in pids):
            if time.monotonic() > end:
                raise TimeoutError(f"after {count} connections, the processes still have descriptors")
            for _ in range(_AT_ONCE):
                stack.enter_context(socket.create_connection((host, int(port)), timeout=seconds))
                count += 1
            time.sleep(_LOOK_SECONDS)
        yield count


def _opened(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _limit(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
