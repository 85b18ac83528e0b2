"""File descriptors of this process: how many it has, and may have."""

from __future__ import annotations

import contextlib
import os
import resource
import socket


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
    """How many it has; as many as it may have where there is none left to count them with."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return limit()


def connections(port: int) -> int:
    """How many of them are connections that were made to a port of this process."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return 0
    return sum(_is_connection(int(name), port) for name in names)


def _is_connection(descriptor: int, port: int) -> bool:
    # With all three given nothing is asked of the descriptor, which others use and may close.
    try:
        looked_at = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 6, fileno=descriptor)
    except OSError:
        return False
    try:
        address = looked_at.getsockname()
        if not isinstance(address, tuple) or address[1] != port:
            return False
        # What listens there has no peer.
        looked_at.getpeername()
    except OSError:
        return False
    else:
        return True
    finally:
        looked_at.detach()
