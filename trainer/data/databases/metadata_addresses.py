"""Recognise the metadata addresses of clouds, which serve credentials and never a database."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_IPV4_BITS = (1 << 32) - 1

_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"}
)
# The clouds' own addresses that aren't link-local: Alibaba, Azure, Oracle, Amazon (two), Google.
_IPV4 = ("100.100.100.200", "168.63.129.16", "192.0.0.192")
_IPV6 = ("fd00:ec2::23", "fd00:ec2::254", "fd20:ce::254")
_ADDRESSES = frozenset(map(ipaddress.ip_address, _IPV4 + _IPV6))
# Networks of IPv6 whose addresses contain an IPv4 address, and how many bits follow it.
_HOLD_IPV4 = tuple(
    (ipaddress.IPv6Network(text), follow)
    for text, follow in (
        # Compatible, mapped, translated, and through NAT64.
        ("::/96", (0,)),
        ("::ffff:0:0/96", (0,)),
        ("::ffff:0:0:0/96", (0,)),
        ("64:ff9b::/96", (0,)),
        # Local NAT64 with a prefix of 96 or 64 bits; `_held` handles 48 and 56 bits.
        ("64:ff9b:1::/48", (0, 24)),
        # 6to4
        ("2002::/16", (80,)),
        # Teredo: the server. `_held` handles the client, whose bits are inverted.
        ("2001::/32", (64,)),
    )
)
_TEREDO = ipaddress.IPv6Network("2001::/32")
_OWN_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
# The upper half of the last 64 bits in ISATAP addresses; the lower half is the IPv4 address.
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_metadata(host: str) -> bool:
    """Whether a host is a metadata or link-local address, in any form that libraries read.

    Names aren't looked up, so call this for each address of a name, too.
    """
    name = host.strip().rstrip(".").lower()
    if name in _NAMES:
        return True
    return any(own.is_link_local or own in _ADDRESSES for own in _addresses(name.strip("[]")))


def _addresses(text: str) -> list[_Address]:
    """Return the address and the IPv4 addresses that it may lead to; [] for a name."""
    # Drop the zone of a link-local address: the address alone decides.
    text = text.partition("%")[0]
    try:
        # inet_aton also reads 2852039166, 0xa9fea9fe and 169.254.43518, as the system does.
        if ":" not in text:
            return [ipaddress.IPv4Address(socket.inet_aton(text))]
        address = ipaddress.IPv6Address(text)
    except (OSError, ValueError):
        return []
    return [address, *map(ipaddress.IPv4Address, _held(address))]


def _held(address: ipaddress.IPv6Address) -> Iterator[int]:
    """Yield the IPv4 addresses in an IPv6 address, as numbers."""
    bits = int(address)
    for network, follow in _HOLD_IPV4:
        if address in network:
            yield from (bits >> count & _IPV4_BITS for count in follow)
    if address in _TEREDO:
        yield ~bits & _IPV4_BITS
    if address in _OWN_NAT64:
        # Bits 64 to 71 aren't part of the address.
        for before in (16, 8):
            after = 32 - before
            yield (bits >> 64 & (1 << before) - 1) << after | bits >> 56 - after & (1 << after) - 1
    if bits >> 32 & _IPV4_BITS in _ISATAP:
        yield bits & _IPV4_BITS
