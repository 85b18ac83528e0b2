"""Why a service can't be reached, found out with plain sockets; knows no gRPC.

gRPC's own words for it are one line of several causes, and a call that waits has none at all.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from lightfm_retriever.hosting import addresses, options
from lightfm_retriever.hosting.calling.symptoms import (
    _NO_TLS,
    _SHOWN_BYTES,
    FRAME_HEAD_BYTES,
    SILENT,
    WORDLESS,
    Problem,
    _tls_wanted,
    closed_by_peer,
    of_connection,
    of_first_bytes,
    of_handshake,
    of_lookup,
)
from lightfm_retriever.hosting.security.settings import ClientSecurity

# HTTP/2 begins with this and a SETTINGS frame, from both sides.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
# Which gRPC looks for, in its order.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_Address: TypeAlias = tuple[str, int]


def diagnose(target: str, security: ClientSecurity, *, seconds: float) -> Problem | None:
    """Why a service can't be reached; None when it can, or when one of its addresses can.

    Args:
        target: as `addresses.parse` takes it.
        security: how the client connects.
        seconds: what finding it out may take, for each address.
    """
    if proxy := _proxy(target, os.environ):
        return Problem(
            "proxied",
            f"it is asked through the proxy in {proxy}: add the host to no_proxy to ask it itself",
        )
    problem: Problem | None = None
    for host, port in addresses.parse(target):
        found = _diagnose_one(host, port, security, time.monotonic() + seconds)
        if found is None:
            return None
        problem = problem or found
    return problem


def _diagnose_one(host: str, port: int, security: ClientSecurity, end: float) -> Problem | None:
    found = _look_up(host, port, end)
    if isinstance(found, Problem):
        return found
    problem: Problem | None = None
    for address in found:
        connect = partial(_connect, address, end)
        try:
            with connect() as connection:
                return _greet(connection, connect, host, security, end)
        except OSError as error:
            problem = problem or of_connection(addresses.joined(host, port), error)
    return problem


def _look_up(host: str, port: int, end: float) -> list[_Address] | Problem:
    with contextlib.suppress(OSError, UnicodeError):
        # An address needs no name server, so no time is too short for it.
        return _asked(host, port, socket.AI_NUMERICHOST)
    # What is found in time, or else that the name servers don't answer.
    found: list[list[_Address] | Problem] = []

    def ask() -> None:
        try:
            found.append(_asked(host, port))
        except socket.gaierror as error:
            found.append(of_lookup(host, error))
        except UnicodeError:
            # A part of the name is longer than names can be.
            found.append(of_lookup(host, socket.gaierror(socket.EAI_NONAME, "")))

    # The system's look-up has no timeout of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(max(0.0, end - time.monotonic()))
    return found[0] if found else of_lookup(host, socket.gaierror(socket.EAI_AGAIN, ""))


def _asked(host: str, port: int, flags: int = 0) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(str(address[0]), int(address[1])) for *_, address in found]


def _connect(address: _Address, end: float) -> socket.socket:
    return socket.create_connection(address, _left(end))


def _greet(
    connection: socket.socket,
    connect: Callable[[], socket.socket],
    host: str,
    security: ClientSecurity,
    end: float,
) -> Problem | None:
    """What is wrong with a server that takes a connection."""
    context = None if security.ca is None else _context(security)
    connection.settimeout(_left(end))
    name = security.server_name or host
    try:
        if context is None:
            content = _exchange(connection, end)
        else:
            with context.wrap_socket(connection, server_hostname=name) as encrypted:
                content = _exchange(encrypted, end)
    except ssl.SSLError as error:
        return of_handshake(error, security)
    except TimeoutError:
        return SILENT
    except OSError:
        content = b""
    if content:
        return of_first_bytes(content, security)
    if context is not None:
        return closed_by_peer(security)
    # A server that speaks TLS closes such a connection without a word.
    return _tls_wanted(security) if _speaks_tls(connect, end) else WORDLESS


def _context(security: ClientSecurity) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=security.ca)
    context.set_alpn_protocols(["h2"])
    if security.cert is not None:
        context.load_cert_chain(security.cert, security.key)
    return context


def _speaks_tls(connect: Callable[[], socket.socket], end: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing secret is said: whether it answers at all is asked.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with connect() as plain:
            plain.settimeout(_left(end))
            with context.wrap_socket(plain):
                return True
    except ssl.SSLError as error:
        return error.reason is not None and error.reason not in _NO_TLS
    except OSError:
        return False


def _exchange(connection: socket.socket, end: float) -> bytes:
    """Begin as HTTP/2 does; returns the first bytes of the answer, none when it is closed."""
    connection.settimeout(_left(end))
    connection.sendall(_PREFACE)
    content = b""
    while len(content) < FRAME_HEAD_BYTES:
        connection.settimeout(_left(end))
        try:
            more = connection.recv(_SHOWN_BYTES)
        except OSError:
            if content:
                break
            raise
        if not more:
            break
        content += more
    return content


def _left(end: float) -> float:
    # Zero would mean a socket that doesn't wait at all.
    return max(0.001, end - time.monotonic())


def _proxy(target: str, environment: Mapping[str, str]) -> str:
    """The variable that names the proxy that gRPC uses for a target; empty for none."""
    used = next((name for name in _PROXIES if environment.get(name)), "")
    without = environment.get("no_grpc_proxy") or environment.get("no_proxy") or ""
    hosts = [host for host, _ in addresses.parse(target)]
    direct = options.names(without)
    return "" if any(host.endswith(one) for host in hosts for one in direct) else used
