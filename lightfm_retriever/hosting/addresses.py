"""Addresses "host:port" to connect to or to listen on, checked before use."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from lightfm_retriever.hosting.errors import ArgumentError

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})")
_PORT = re.compile(r"[0-9]{1,5}")
# gRPC's prefix for names that it resolves by DNS.
_DNS = re.compile("^dns:(///)?")
# gRPC's prefixes for lists of addresses.
_LISTS = ("ipv4:", "ipv6:")


class AddressError(ArgumentError):
    """A text isn't an address of a service.

    Attributes:
        address: the text.
        hint: what is wrong with it; empty when there is nothing specific.
    """

    def __init__(self, address: object, hint: str = "", *, least: int = 1) -> None:
        form = f"HOST:PORT with a port in {least}..65535, such as 10.0.0.1:50051 or [::1]:50051"
        expected = form + (f": {hint}" if hint else "")
        # No argument name in the text, because flags have other names than the argument.
        text = f"{address!r} should be {expected}" if isinstance(address, str) else ""
        super().__init__("target", address, expected, text=text)
        self.address = address
        self.hint = hint


def parse(target: object) -> list[tuple[str, int]]:
    """Return the host and port of each address in a target. Raises AddressError.

    A target is "host:port", with an IPv6 host in brackets. gRPC's forms dns:///host:port,
    ipv4:host:port,... and ipv6:[host]:port,... are allowed too.
    """
    if not isinstance(target, str):
        raise AddressError(target)
    if target.startswith(_LISTS):
        return [parse_one(one) for one in target.partition(":")[2].split(",")]
    return [parse_one(_DNS.sub("", target))]


def parse_one(text: str, *, least: int = 1) -> tuple[str, int]:
    """Split "host:port" into host and port. Raises AddressError for anything else.

    `least` is the smallest valid port: 0 for a service, which then listens on a free port.
    """
    host, _, port = text.rpartition(":")
    if (hint := _odd(text) or _wrong(text, host, port, least)) is not None:
        raise AddressError(text, hint, least=least)
    return host.strip("[]"), int(port)


def joined(host: str, port: int) -> str:
    """Join host and port to an address, with an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _wrong(text: str, host: str, port: str, least: int) -> str | None:
    """Return the hint of an AddressError, None for a valid address."""
    if ":" not in text or (text.startswith("[") and text.endswith("]")):
        return "the port is missing" if text else ""
    if not host:
        return "the host is missing"
    if not (_PORT.fullmatch(port) and least <= int(port) <= 65535):
        return f"{port!r} isn't a valid port" if port else "the port is missing"
    if host.startswith("[") and host.endswith("]"):
        return None if _is(IPv6Address, host[1:-1]) else f"{host!r} isn't a valid host"
    if ":" in host:
        return "write an IPv6 address in brackets" if _is(IPv6Address, host) else ""
    if not _HOST.fullmatch(host) or ".." in host:
        return f"{host!r} isn't a valid host"
    if host.replace(".", "").isdigit() and not _is(IPv4Address, host):
        return f"{host!r} isn't an IPv4 address, which has four numbers in 0..255"
    return None


def _odd(text: str) -> str:
    """Return a hint for common mistakes; empty if there is none."""
    if text.startswith("unix:"):
        return "the services listen on TCP ports only"
    scheme, separator, rest = text.partition("://")
    if separator:
        return f"leave out {scheme + separator!r}: gRPC has no such addresses" if rest else ""
    if text != text.strip() or any(one.isspace() for one in text):
        return "it contains a space"
    host, slash, path = text.partition("/")
    if slash:
        return f"leave out {slash + path!r}" if host else ""
    if _is(IPv6Address, text):
        return "write an IPv6 address in brackets"
    return ""


def _is(of: type[IPv4Address | IPv6Address], text: str) -> bool:
    try:
        return bool(of(text))
    except ValueError:
        return False
