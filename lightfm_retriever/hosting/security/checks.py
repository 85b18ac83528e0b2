"""What a service couldn't use, or shouldn't be without, before it begins."""

from __future__ import annotations

import ipaddress
import socket

from lightfm_retriever.hosting.errors import FlagError
from lightfm_retriever.hosting.security import tokens
from lightfm_retriever.hosting.security.settings import SecuritySettings


def check_files(settings: SecuritySettings) -> None:
    """Raise HostingError for certificates, keys and tokens that a service couldn't use."""
    if settings.tls:
        # Takes memory that a service without TLS needn't.
        from lightfm_retriever.hosting.security import certificates

        certificates.watch(settings)
    if settings.token_file is not None:
        tokens.watch(settings.token_file)


def check_address(settings: SecuritySettings, host: str) -> None:
    """Raise FlagError for an address that needs TLS when there is none."""
    if settings.tls or settings.insecure or _is_loopback(host):
        return
    raise FlagError(
        f"--listen {host}: other machines can call there, so give --tls-cert and --tls-key, "
        "or --insecure for no encryption"
    )


def _is_loopback(host: str) -> bool:
    try:
        # gRPC takes no host for all of them.
        found = socket.getaddrinfo(host.removeprefix("[").removesuffix("]") or "::", None)
    except (OSError, UnicodeError):
        # Nobody can listen there, but gRPC has spellings of its own, such as ipv4:0.0.0.0.
        return ":" not in host
    return all(ipaddress.ip_address(str(address[0])).is_loopback for *_, address in found)
