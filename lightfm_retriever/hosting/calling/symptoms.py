"""What errors and first bytes of a connection say of the service at its other end."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Literal

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
# These may pass while a caller waits: a slow name server, a full network, a host that is busy.
_MAY_PASS: frozenset[Cause] = frozenset({"timed_out", "silent", "proxied"})
SETTINGS = 4
FRAME_HEAD_BYTES = 9
TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_SHOWN_BYTES = 40
# What OpenSSL calls an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
# By OpenSSL's codes, of names that the certificate hasn't and of times before and after its own.
_OTHER_NAMES = (62, 64)
_OF_TIME = {9: "its certificate isn't valid yet: check the clocks", 10: "its certificate has expired"}


@dataclass(frozen=True)
class Problem:
    """Why a service can't be reached.

    Attributes:
        cause: for programs.
        text: for people, with what to do.
    """

    cause: Cause
    text: str

    @property
    def may_start(self) -> bool:
        """Whether it may be that the service hasn't been started yet."""
        return self.may_pass or self.cause in ("refused", "unreachable", "name_not_found")

    @property
    def may_pass(self) -> bool:
        """Whether waiting for the service may help."""
        return self.cause in _MAY_PASS


SILENT = Problem("silent", "something takes connections there, but says nothing")
WORDLESS = Problem("not_grpc", "what listens there closes the connection: does it speak gRPC?")


def of_lookup(host: str, error: socket.gaierror) -> Problem:
    """What a failed look-up of a host's name means."""
    if error.errno == socket.EAI_AGAIN:
        return Problem("timed_out", f"the name servers don't answer when asked for {host!r}")
    return Problem("name_not_found", f"the host {host!r} isn't found: check its name")


def of_connection(place: str, error: OSError) -> Problem:
    """What a failed connection means."""
    if isinstance(error, TimeoutError):
        return Problem(
            "timed_out",
            f"nothing at {place} answers: the host is off, or a firewall drops what is sent to it",
        )
    if error.errno == errno.ECONNREFUSED:
        return Problem("refused", f"connection refused: nobody listens at {place}")
    return Problem("unreachable", f"{place} can't be reached: {error.strerror or 'no connection'}")


def of_first_bytes(content: bytes, security: ClientSecurity) -> Problem | None:
    """What a server means that begins like this after HTTP/2's preface; None for HTTP/2."""
    if len(content) >= FRAME_HEAD_BYTES and content[3] == SETTINGS and content[5:9] == bytes(4):
        return None
    if content.startswith(TLS_RECORDS):
        return _tls_wanted(security)
    # A page without a head is what HTTP/0.9 had, and what Python's servers send for what is odd.
    if content.startswith((b"HTTP/", b"<")):
        return Problem(
            "not_grpc", "a web server answers there, no gRPC: is it the port of the metrics?"
        )
    shown = content[:_SHOWN_BYTES].decode("ascii", "replace").replace("\ufffd", "?").splitlines()
    said = "".join(one if one.isprintable() else "?" for one in (shown or [""])[0])
    return Problem("not_grpc", f"what answers there speaks no gRPC; it says {said!r}")


def _tls_wanted(security: ClientSecurity) -> Problem:
    ca = security.named("ca")
    return Problem(
        "tls_wanted", f"the service speaks TLS: give {ca}, the CA that signed its certificate"
    )


def of_handshake(error: ssl.SSLError, security: ClientSecurity) -> Problem:
    """What a failed TLS handshake means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OF_TIME:
            return Problem("certificate_expired", _OF_TIME[error.verify_code])
        if error.verify_code in _OTHER_NAMES:
            name = security.named("server_name")
            text = f"its certificate is for other names: give one as {name}"
            return Problem("certificate_name", text)
        ca = security.named("ca")
        return Problem("certificate_untrusted", f"its certificate isn't signed by any in {ca}")
    if error.reason in _NO_TLS:
        return Problem("tls_unknown", f"the service speaks no TLS: leave {security.named('ca')} out")
    return closed_by_peer(security)


def closed_by_peer(security: ClientSecurity) -> Problem:
    wanted = (
        f"it may want a client certificate, {security.named('cert')} and {security.named('key')}"
        if security.cert is None
        else "it may want a certificate that another CA signed"
    )
    return Problem("client_certificate", f"the service closed the connection: {wanted}")
