"""One port for all workers, held by the parent.

The kernel gives a connection to any listening socket of the port (SO_REUSEPORT), and a stray service
would silently take a share. So the parent makes sure that nobody listens there, and then holds the
port by a socket that is bound but doesn't listen, which also makes port 0 the same for all workers.
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
        """Give the port back."""
        for held in self.sockets:
            held.close()


def reserve(host: str, port: int) -> Port:
    """Reserve a port; 0 takes a free one.

    Raises:
        StartError: the address doesn't exist here, or somebody listens on the port.
    """
    address = joined(host, port)
    try:
        family, kind, _, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartError(f"--listen {address}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise SettingError(f"--listen {address}: {host!r} can't be a host's name") from error
    # By the number: names differ for one address, and may be too long for a socket's name.
    lock = _lock(joined(*target[:2]), address) if port else None
    try:
        if port:
            # Without SO_REUSEPORT this fails when anyone listens, with SO_REUSEADDR it doesn't when
            # only old connections linger.
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
    """Keep two parents that start at the same moment from both finding the port free.

    An abstract socket belongs to the network namespace, as ports do, and goes with the process.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0lightfm-retriever/{numeric}")
    except OSError as error:
        lock.close()
        raise StartError(f"--listen {address}: another retriever holds this port") from error
    return lock
