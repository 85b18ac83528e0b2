"""Taking the file descriptors of processes that run, by connections to them, and giving them back."""

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator, Sequence

_LOOK_SECONDS = 0.02
# For what comes beside the connections: less than a version takes.
ROOM = 20
# In the way of callers that connect anew, so no more than it takes.
_AT_ONCE = 8


@contextlib.contextmanager
def limited(pids: Sequence[int]) -> Iterator[None]:
    """Let processes have some descriptors more than they have, and no more."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    try:
        for pid, (_, hard) in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (_opened(pid) + ROOM, hard))
        yield
    finally:
        for pid, limits in before.items():
            # It may be gone.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def taken(target: str, pids: Sequence[int], *, seconds: float) -> Iterator[int]:
    """Connect until none of the processes that listen there has a descriptor left.

    Gives the number of connections, which end with the block. TimeoutError after so many seconds.
    """
    host, port = target.split(":")
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        count = 0
        while any(_opened(pid) < _limit(pid) for pid in pids):
            if time.monotonic() > end:
                raise TimeoutError(f"after {count} connections there are still descriptors left")
            for _ in range(_AT_ONCE):
                stack.enter_context(socket.create_connection((host, int(port)), timeout=seconds))
                count += 1
            time.sleep(_LOOK_SECONDS)
        yield count


def _opened(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _limit(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
