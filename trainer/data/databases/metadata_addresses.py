"""Addresses at which a cloud tells its machines their credentials, where no database is."""

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
# Where an address of version 6 holds one of version 4: how many bits follow it, by network.
_HOLD_IPV4 = tuple(
    (ipaddress.IPv6Network(text), follow)
    for text, follow in (
        # Compatible, mapped, translated, and through NAT64.
        ("::/96", (0,)),
        ("::ffff:0:0/96", (0,)),
        ("::ffff:0:0:0/96", (0,)),
        ("64:ff9b::/96", (0,)),
        # A network's own NAT64, whose prefix may have 96, or 64 bits; 48 and 56 are below.
        ("64:ff9b:1::/48", (0, 24)),
        # 6to4
        ("2002::/16", (80,)),
        # Teredo: its server, and its client, whose bits are inverted.
        ("2001::/32", (64,)),
    )
)
_TEREDO = ipaddress.IPv6Network("2001::/32")
_OWN_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
# The first bits of the last 64 where a tunnel within a site (ISATAP) has the address in the others.
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_metadata(host: str) -> bool:
    """Whether a name or an address, in any form that libraries read, is a metadata or link-local one.

    A name isn't looked up: ask this of each address that it has, too.
    """
    name = host.strip().rstrip(".").lower()
    if name in _NAMES:
        return True
    return any(own.is_link_local or own in _ADDRESSES for own in _addresses(name.strip("[]")))


def _addresses(text: str) -> list[_Address]:
    """The address that a text is, and those that it may lead to; none for a name."""
    # A zone follows a link-local address, which says all.
    text = text.partition("%")[0]
    try:
        # Also 2852039166, 0xa9fea9fe and 169.254.43518, as the system's own look-up reads them.
        if ":" not in text:
            return [ipaddress.IPv4Address(socket.inet_aton(text))]
        address = ipaddress.IPv6Address(text)
    except (OSError, ValueError):
        return []
    return [address, *map(ipaddress.IPv4Address, _held(address))]


def _held(address: ipaddress.IPv6Address) -> Iterator[int]:
    """The addresses of version 4 in one of version 6, as numbers."""
    bits = int(address)
    for network, follow in _HOLD_IPV4:
        if address in network:
            yield from (bits >> count & _IPV4_BITS for count in follow)
    if address in _TEREDO:
        yield ~bits & _IPV4_BITS
    if address in _OWN_NAT64:
        # The eight bits from the 64th on are left out.
        for before in (16, 8):
            after = 32 - before
            yield (bits >> 64 & (1 << before) - 1) << after | bits >> 56 - after & (1 << after) - 1
    if bits >> 32 & _IPV4_BITS in _ISATAP:
        yield bits & _IPV4_BITS
