"""Reserve one port for all workers.

With SO_REUSEPORT the kernel gives a connection to any listening socket of the port. A second service on
the same port would silently take a share of the connections. So the parent checks that nobody listens
on the port. Then it holds the port with a socket that is bound but doesn't listen. This also gives all
workers the same port when the setting is port 0.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from lightfm_retriever.hosting.addresses import joined
from retriever.errors import SettingError, StartError


@dataclass(frozen=True)
class Port:
    """A reserved port. `host` is numeric, so that every worker binds the same address."""

    host: str
    port: int
    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        """Release the port."""
        for held in self.sockets:
            held.close()


def reserve(host: str, port: int) -> Port:
    """Reserve a port; 0 takes a free one.

    Raises:
        SettingError: the host can't be a host name.
        StartError: the address doesn't exist on this machine, or the port is in use.
    """
    address = joined(host, port)
    try:
        family, kind, _, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartError(f"--listen {address}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise SettingError(f"--listen {address}: {host!r} isn't a valid host name") from error
    # Lock the numeric address: names of one address differ, and may be too long for a socket name.
    lock = _lock(joined(*target[:2]), address) if port else None
    try:
        if port:
            # Without SO_REUSEPORT, bind fails if anyone listens. With SO_REUSEADDR, it succeeds if only
            # old connections linger.
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(target)
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(target)
    except OSError as error:
        if lock is not None:
            lock.close()
        raise StartError(f"--listen {address}: {error.strerror or error}") from error
    numeric, chosen = held.getsockname()[:2]
    return Port(numeric, chosen, (held,) if lock is None else (held, lock))


def _lock(numeric: str, address: str) -> socket.socket:
    """Prevent two parents that start at the same moment from both finding the port free.

    The lock is an abstract socket. Like a port it belongs to the network namespace, and the kernel
    releases it when the process ends.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0lightfm-retriever/{numeric}")
    except OSError as error:
        lock.close()
        raise StartError(
            f"--listen {address}: another retriever uses this port: choose another one"
        ) from error
    return lock
