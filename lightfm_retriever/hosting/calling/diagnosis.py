"""Find out with plain sockets why a service can't be reached.

gRPC's own error mixes several causes in one line, and a call that waits gets no error at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lightfm_retriever.hosting import addresses, options
from lightfm_retriever.hosting.security.settings import ClientSecurity

Cause = Literal[
    "name_not_found",
    "refused",
    "unreachable",
    "timed_out",
    "silent",
    "tls_wanted",
    "tls_unknown",
    "certificate_untrusted",
    "certificate_expired",
    "certificate_name",
    "client_certificate",
    "not_grpc",
    "other_service",
    "proxied",
]
# These causes may pass while a caller waits: a slow name server, a full network, a busy host.
_MAY_PASS: frozenset[Cause] = frozenset({"timed_out", "silent", "proxied"})
_SETTINGS = 4
_FRAME_HEAD_BYTES = 9
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_SHOWN_BYTES = 40
# OpenSSL's reasons for an answer that isn't TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
# OpenSSL's codes for a name that the certificate doesn't have, and for a time outside its validity.
_OTHER_NAMES = (62, 64)
_OF_TIME = {
    9: "the service's certificate isn't valid yet: check the clocks",
    10: "the service's certificate has expired: renew it",
}
# Both sides of HTTP/2 begin with this preface and a SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
# The variables that gRPC reads, in its order.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class Problem:
    """Why a service can't be reached: a cause for programs, and a text with the remedy for people."""

    cause: Cause
    text: str

    @property
    def may_start(self) -> bool:
        """Return whether the service may not have been started yet."""
        return self.may_pass or self.cause in ("refused", "unreachable", "name_not_found")

    @property
    def may_pass(self) -> bool:
        """Return whether waiting for the service may help."""
        return self.cause in _MAY_PASS


_SILENT = Problem("silent", "a server accepts connections there, but sends nothing")
_WORDLESS = Problem(
    "not_grpc", "the server there closes the connection: check that it is a gRPC service"
)


def diagnose(target: str, security: ClientSecurity, *, seconds: float) -> Problem | None:
    """Return why a service can't be reached; None if at least one of its addresses can.

    `target` has the form that `addresses.parse` takes. Each address takes at most `seconds`.
    """
    if proxy := _proxy(target, os.environ):
        return Problem(
            "proxied",
            f"gRPC uses the proxy in {proxy}: to connect directly, add the host to no_proxy",
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
        try:
            with socket.create_connection(address, _left(end)) as connection:
                return _greet(connection, address, security.server_name or host, security, end)
        except OSError as error:
            problem = problem or of_connection(addresses.joined(host, port), error)
    return problem


def _look_up(host: str, port: int, end: float) -> list[_Address] | Problem:
    with contextlib.suppress(OSError, UnicodeError):
        # A numeric address needs no name server, so the time limit doesn't matter.
        return _asked(host, port, socket.AI_NUMERICHOST)
    # The result of the look-up, if it comes in time.
    found: list[list[_Address] | Problem] = []

    def ask() -> None:
        try:
            found.append(_asked(host, port))
        except socket.gaierror as error:
            found.append(of_lookup(host, error))
        except UnicodeError:
            # A part of the name is too long.
            found.append(of_lookup(host, socket.gaierror(socket.EAI_NONAME, "")))

    # The system's look-up has no timeout, so a thread does it.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(max(0.0, end - time.monotonic()))
    return found[0] if found else of_lookup(host, socket.gaierror(socket.EAI_AGAIN, ""))


def _asked(host: str, port: int, flags: int = 0) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(str(address[0]), int(address[1])) for *_, address in found]


def _greet(
    connection: socket.socket, address: _Address, name: str, security: ClientSecurity, end: float
) -> Problem | None:
    """Return what is wrong with a server that accepts a connection."""
    context = None if security.ca is None else _context(security)
    connection.settimeout(_left(end))
    try:
        if context is None:
            content = _exchange(connection, end)
        else:
            with context.wrap_socket(connection, server_hostname=name) as encrypted:
                content = _exchange(encrypted, end)
    except ssl.SSLError as error:
        return of_handshake(error, security)
    except TimeoutError:
        return _SILENT
    except OSError:
        content = b""
    if content:
        return of_first_bytes(content, security)
    if context is not None:
        return _closed_by_peer(security)
    # A TLS server closes a plain connection without sending anything.
    return _tls_wanted(security) if _speaks_tls(address, end) else _WORDLESS


def _context(security: ClientSecurity) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=security.ca)
    context.set_alpn_protocols(["h2"])
    if security.cert is not None:
        context.load_cert_chain(security.cert, security.key)
    return context


def _speaks_tls(address: _Address, end: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing secret is sent: the question is only whether the server speaks TLS.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection(address, _left(end)) as plain:
            plain.settimeout(_left(end))
            with context.wrap_socket(plain):
                return True
    except ssl.SSLError as error:
        return error.reason is not None and error.reason not in _NO_TLS
    except OSError:
        return False


def _exchange(connection: socket.socket, end: float) -> bytes:
    """Send HTTP/2's preface and return the first bytes of the answer; empty if it is closed."""
    connection.settimeout(_left(end))
    connection.sendall(_PREFACE)
    content = b""
    while len(content) < _FRAME_HEAD_BYTES:
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
    # Zero would make the socket non-blocking.
    return max(0.001, end - time.monotonic())


def _proxy(target: str, environment: Mapping[str, str]) -> str:
    """Return the variable that names gRPC's proxy for a target; empty for none."""
    used = next((name for name in _PROXIES if environment.get(name)), "")
    without = environment.get("no_grpc_proxy") or environment.get("no_proxy") or ""
    hosts = [host for host, _ in addresses.parse(target)]
    direct = options.names(without)
    return "" if any(host.endswith(one) for host in hosts for one in direct) else used


def of_lookup(host: str, error: socket.gaierror) -> Problem:
    """Return the problem for a failed look-up of a host name."""
    if error.errno == socket.EAI_AGAIN:
        return Problem("timed_out", f"the name servers don't answer a query for host {host!r}")
    return Problem("name_not_found", f"host {host!r} doesn't exist: check its name")


def of_connection(place: str, error: OSError) -> Problem:
    """Return the problem for a failed connection."""
    if isinstance(error, TimeoutError):
        return Problem(
            "timed_out",
            f"{place} doesn't answer: the host is off, or a firewall drops the packets",
        )
    if error.errno == errno.ECONNREFUSED:
        return Problem("refused", f"connection refused: nobody listens at {place}")
    return Problem("unreachable", f"{place} can't be reached: {error.strerror or 'no connection'}")


def of_first_bytes(content: bytes, security: ClientSecurity) -> Problem | None:
    """Return the problem for a server's first bytes after HTTP/2's preface; None for HTTP/2."""
    if len(content) >= _FRAME_HEAD_BYTES and content[3] == _SETTINGS and content[5:9] == bytes(4):
        return None
    if content.startswith(_TLS_RECORDS):
        return _tls_wanted(security)
    # HTTP/0.9, and Python's servers after an invalid request, send a page without a header.
    if content.startswith((b"HTTP/", b"<")):
        return Problem(
            "not_grpc",
            "a web server answers there, not a gRPC service: check that it isn't the metrics port",
        )
    shown = content[:_SHOWN_BYTES].decode("ascii", "replace").replace("\ufffd", "?").splitlines()
    said = "".join(one if one.isprintable() else "?" for one in (shown or [""])[0])
    return Problem("not_grpc", f"the server there doesn't speak gRPC; it sends {said!r}")


def _tls_wanted(security: ClientSecurity) -> Problem:
    ca = security.named("ca")
    return Problem(
        "tls_wanted", f"the service requires TLS: give {ca}, the CA that signed its certificate"
    )


def of_handshake(error: ssl.SSLError, security: ClientSecurity) -> Problem:
    """Return the problem for a failed TLS handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OF_TIME:
            return Problem("certificate_expired", _OF_TIME[error.verify_code])
        if error.verify_code in _OTHER_NAMES:
            name = security.named("server_name")
            text = f"the service's certificate is for other names: give one of them as {name}"
            return Problem("certificate_name", text)
        ca = security.named("ca")
        return Problem(
            "certificate_untrusted", f"the service's certificate isn't signed by a CA in {ca}"
        )
    if error.reason in _NO_TLS:
        return Problem("tls_unknown", f"the service doesn't use TLS: leave out {security.named('ca')}")
    return _closed_by_peer(security)


def _closed_by_peer(security: ClientSecurity) -> Problem:
    wanted = (
        f"it may require a certificate: give {security.named('cert')} and {security.named('key')}"
        if security.cert is None
        else "it may require a certificate of another CA"
    )
    return Problem("client_certificate", f"the service closed the connection: {wanted}")
