"""Count the open file descriptors of this process, and read or raise their limit."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Sequence


def raise_limit() -> int:
    """Raise the limit of this process and its children as far as allowed, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A kernel may allow fewer than its hard limit says.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def limit() -> int:
    """Return the limit of open file descriptors."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def opened() -> int:
    """Return the number of open file descriptors; 0 if unknown."""
    return max(0, len(_all()) - 1)


def connections(port: int) -> int:
    """Return the number of connections that clients made to a port of this process."""
    return sum(_is_connection(descriptor, port) for descriptor in _all())


def _all() -> Sequence[int]:
    """Return all open descriptors, and the one that was opened to list them."""
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError as error:
        # If no descriptor is left for the listing, all descriptors up to the limit are open.
        return range(limit() + 1) if error.errno == errno.EMFILE else ()


def _is_connection(descriptor: int, port: int) -> bool:
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        # With family, type and protocol given, socket() makes no system call on the descriptor, which
        # other threads use and may close.
        looked_at = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 6, fileno=descriptor)
        stack.callback(looked_at.detach)
        address = looked_at.getsockname()
        if isinstance(address, tuple) and address[1] == port:
            # A listening socket has no peer, so this raises OSError for it.
            looked_at.getpeername()
            return True
    return False
