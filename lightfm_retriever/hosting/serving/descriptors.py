"""File descriptors of this process: how many it has, and may have."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Sequence


def raise_limit() -> int:
    """Let this process, and those that it starts, have as many as they may; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A kernel may allow fewer than it says.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def limit() -> int:
    """How many it may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def opened() -> int:
    """How many it has; 0 where that can't be told."""
    return max(0, len(_all()) - 1)


def connections(port: int) -> int:
    """How many of them are connections that were made to a port of this process."""
    return sum(_is_connection(descriptor, port) for descriptor in _all())


def _all() -> Sequence[int]:
    """All that are open, and one more: it listed them."""
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError as error:
        # With none left to list them with, all that there may be are there.
        return range(limit() + 1) if error.errno == errno.EMFILE else ()


def _is_connection(descriptor: int, port: int) -> bool:
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        # With all three given nothing is asked of the descriptor, which others use and may close.
        looked_at = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 6, fileno=descriptor)
        stack.callback(looked_at.detach)
        address = looked_at.getsockname()
        if isinstance(address, tuple) and address[1] == port:
            # What listens there has no peer.
            looked_at.getpeername()
            return True
    return False
