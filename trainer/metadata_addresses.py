"""Addresses at which a cloud tells its machines their credentials, where no database is."""

from __future__ import annotations

import ipaddress
import socket

_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"}
)
# The clouds' own addresses that aren't link-local: Alibaba, Azure, Oracle, Amazon (two), Google.
_ADDRESSES = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
# An address of version 4 in the last 32 bits: mapped, compatible, and through NAT64.
_HOLD_IPV4 = tuple(ipaddress.IPv6Network(text) for text in ("::ffff:0:0/96", "::/96", "64:ff9b::/96"))


def is_metadata(host: str) -> bool:
    """Whether a name or an address, in any form that libraries read, is a metadata or link-local one.

    A name isn't looked up: ask this of each address that it has, too.
    """
    name = host.strip().rstrip(".").lower()
    if name in _NAMES:
        return True
    address = _address(name.strip("[]"))
    return address is not None and (address.is_link_local or address in _ADDRESSES)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    # A zone follows a link-local address, which says all.
    text = text.partition("%")[0]
    try:
        # Also 2852039166, 0xa9fea9fe and 169.254.43518, as the system's own look-up reads them.
        return ipaddress.IPv4Address(socket.inet_aton(text)) if ":" not in text else _ipv6(text)
    except (OSError, ValueError):
        return None


def _ipv6(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.IPv6Address(text)
    if any(address in network for network in _HOLD_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
