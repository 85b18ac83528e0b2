"""Where a client connects to, or a service listens: "host:port", checked before it is used."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from lightfm_retriever.hosting.errors import ArgumentError

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})")
_PORT = re.compile(r"[0-9]{1,5}")
# gRPC's own way to ask for a name anew: its host and port are the same as without it.
_DNS = re.compile("^dns:(///)?")
# gRPC's own way to name several addresses.
_LISTS = ("ipv4:", "ipv6:")


class AddressError(ArgumentError):
    """A text that is no address of a service.

    Attributes:
        address: the text.
        hint: what is wrong with it; empty when there is no more to say.
    """

    def __init__(self, address: object, hint: str = "", *, least: int = 1) -> None:
        form = f"HOST:PORT with a port in {least}..65535, such as 10.0.0.1:50051 or [::1]:50051"
        expected = form + (f": {hint}" if hint else "")
        # Flags have other names than the argument has.
        text = f"{address!r} should be {expected}" if isinstance(address, str) else ""
        super().__init__("target", address, expected, text=text)
        self.address = address
        self.hint = hint


def parse(target: object) -> list[tuple[str, int]]:
    """Host and port of each address that a target names; raises AddressError for what is none.

    It is "host:port", an IPv6 host in brackets; or gRPC's dns:///host:port, ipv4:host:port,... and
    ipv6:[host]:port,....
    """
    if not isinstance(target, str):
        raise AddressError(target)
    if target.startswith(_LISTS):
        return [parse_one(one) for one in target.partition(":")[2].split(",")]
    return [parse_one(_DNS.sub("", target))]


def parse_one(text: str, *, least: int = 1) -> tuple[str, int]:
    """Host and port of "host:port"; raises AddressError for anything else.

    Who listens takes 0 as the `least` port, for a free one.
    """
    host, _, port = text.rpartition(":")
    if (hint := _odd(text) or _wrong(text, host, port, least)) is not None:
        raise AddressError(text, hint, least=least)
    return host.strip("[]"), int(port)


def joined(host: str, port: int) -> str:
    """Write an address, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _wrong(text: str, host: str, port: str, least: int) -> str | None:
    """The hint of an AddressError, None for none."""
    if ":" not in text or (text.startswith("[") and text.endswith("]")):
        return "the port is missing" if text else ""
    if not host:
        return "the host is missing"
    if not (_PORT.fullmatch(port) and least <= int(port) <= 65535):
        return f"{port!r} isn't such a port" if port else "the port is missing"
    if host.startswith("[") and host.endswith("]"):
        return None if _is(IPv6Address, host[1:-1]) else f"{host!r} is no host"
    if ":" in host:
        return "an IPv6 address stands in brackets" if _is(IPv6Address, host) else ""
    if not _HOST.fullmatch(host) or ".." in host:
        return f"{host!r} is no host"
    if host.replace(".", "").isdigit() and not _is(IPv4Address, host):
        return f"{host!r} is no IPv4 address, which has four numbers in 0..255"
    return None


def _odd(text: str) -> str:
    """What people write that looks like an address; empty when it doesn't."""
    if text.startswith("unix:"):
        return "the services listen on TCP ports only"
    scheme, separator, rest = text.partition("://")
    if separator:
        return f"leave {scheme + separator!r} out: gRPC has no such addresses" if rest else ""
    if text != text.strip() or any(one.isspace() for one in text):
        return "it has a space in it"
    host, slash, path = text.partition("/")
    if slash:
        return f"leave {slash + path!r} out" if host else ""
    if _is(IPv6Address, text):
        return "an IPv6 address stands in brackets"
    return ""


def _is(of: type[IPv4Address | IPv6Address], text: str) -> bool:
    try:
        return bool(of(text))
    except ValueError:
        return False
