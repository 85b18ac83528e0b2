"""Check the security settings before a service starts."""

from __future__ import annotations

import ipaddress
import socket

from lightfm_retriever.hosting.errors import FlagError
from lightfm_retriever.hosting.security import tokens
from lightfm_retriever.hosting.security.settings import SecuritySettings


def check_files(settings: SecuritySettings) -> None:
    """Raise HostingError if certificates, keys or tokens can't be used."""
    if settings.tls:
        # Imported here, because it takes memory that a service without TLS doesn't need.
        from lightfm_retriever.hosting.security import certificates

        certificates.watch(settings)
    if settings.token_file is not None:
        tokens.watch(settings.token_file)


def check_address(settings: SecuritySettings, host: str) -> None:
    """Raise FlagError if the address is reachable for other machines and there is no TLS."""
    if settings.tls or settings.insecure or _is_loopback(host):
        return
    raise FlagError(
        f"--listen {host}: other machines can reach this address, so give --tls-cert and --tls-key, "
        "or --insecure to allow calls without encryption"
    )


def _is_loopback(host: str) -> bool:
    try:
        # For gRPC, an empty host means all addresses.
        found = socket.getaddrinfo(host.removeprefix("[").removesuffix("]") or "::", None)
    except (OSError, UnicodeError):
        # The host can't be resolved. But gRPC has forms of its own, such as ipv4:0.0.0.0.
        return ":" not in host
    return all(ipaddress.ip_address(str(address[0])).is_loopback for *_, address in found)
