"""Who may call a service, and by which connections."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from hosting.errors import HostingError


@dataclass(frozen=True, kw_only=True)
class SecuritySettings:
    """What the flags say; all files are PEM.

    Attributes:
        cert, key: the server's certificate chain and its private key; None for no TLS.
        client_ca: whose certificates clients must show; None for none.
        allowed_clients: names in client certificates that may call; empty for all that are signed.
        token_file: the bearer tokens that callers may send, one a line; None when they need none.
        insecure: whether to listen without TLS where other machines can call.
    """

    cert: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    allowed_clients: tuple[str, ...] = ()
    token_file: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        """Raise HostingError for what can't be together."""
        if (self.cert is None) != (self.key is None):
            have, lack = ("cert", "key") if self.key is None else ("key", "cert")
            raise HostingError(f"--tls-{have} is given without --tls-{lack}: TLS takes both")
        if self.client_ca is not None and self.cert is None:
            raise HostingError("--tls-client-ca is given without --tls-cert and --tls-key")
        if self.allowed_clients and self.client_ca is None:
            raise HostingError("--tls-allowed-clients is given without --tls-client-ca")

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.cert is not None


def check_address(settings: SecuritySettings, host: str) -> None:
    """Raise HostingError for an address that needs TLS when there is none."""
    if settings.tls or settings.insecure or _is_loopback(host):
        return
    raise HostingError(
        f"--listen {host}: other machines can call there, so give --tls-cert and --tls-key, "
        "or --insecure for no encryption"
    )


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host.removeprefix("[").removesuffix("]"), None)
    except (OSError, UnicodeError):
        # Nobody can listen there: whoever tries says why.
        return True
    return all(ipaddress.ip_address(str(address[0])).is_loopback for *_, address in found)
