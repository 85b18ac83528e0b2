"""Read certificates and keys from files, and detect errors that would make a handshake fail.

This module imports `cryptography`, which takes a few megabytes: import it only where TLS is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.utils import CryptographyDeprecationWarning

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings
from lightfm_retriever.hosting.security.watched_files import Reloading, WatchedFile

# These warnings are about unusual certificates of others, such as the system's authorities. They show a
# line of our source, and an operator can't do anything about them.
warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning, module=__name__)

_SOON = timedelta(days=7)
# The curves that gRPC's clients support.
_CURVES = (ec.SECP256R1, ec.SECP384R1)


@dataclass(frozen=True)
class Certificates:
    """The contents of checked files, in PEM.

    Attributes:
        where: flag and file of the certificate.
        chain: the own certificate and those that signed it.
        key: the private key of the certificate.
        authorities: CAs that must have signed the other side's certificate; None if it needs none.
        expires: when the own certificate expires.
    """

    where: WatchedFile
    chain: bytes
    key: bytes
    authorities: bytes | None
    expires: datetime

    def describe(self) -> str:
        """Say until when the certificate is valid."""
        return f"a certificate that is valid until {_text(self.expires)}"

    def warning(self) -> str | None:
        """Return a warning if the certificate expires soon or has expired."""
        now = datetime.now(UTC)
        if now >= self.expires:
            return f"{self.where}, which is in use, expired at {_text(self.expires)}: replace the file"
        if now >= self.expires - _SOON:
            soon = f"in less than {_SOON.days} days"
            return f"{self.where} expires at {_text(self.expires)}, {soon}: replace the file"
        return None


def watch(settings: SecuritySettings) -> Reloading[Certificates]:
    """Read and watch the certificates of a server. Raises HostingError if they can't be used."""
    files = {"cert": settings.cert, "key": settings.key, "client-ca": settings.client_ca}
    sources = [WatchedFile(f"--tls-{name}", path) for name, path in files.items() if path is not None]
    return Reloading(sources, partial(_parse, sources))


def read_client(security: ClientSecurity) -> list[bytes]:
    """Read and check a client's CAs, and its chain and key if it has them. Raises HostingError."""
    files = {"ca": security.ca, "cert": security.cert, "key": security.key}
    ca, *pair = (
        WatchedFile(security.named(name), Path(path), once=True)
        for name, path in files.items()
        if path is not None
    )
    authorities, *contents = (source.read() for source in (ca, *pair))
    _check_authorities(ca, authorities)
    if pair:
        _check_pair(pair[0], pair[1], contents[0], contents[1])
    return [authorities, *contents]


def _parse(sources: Sequence[WatchedFile], contents: Sequence[bytes]) -> Certificates:
    cert, key, *client_ca = sources
    chain, private, *authorities = contents
    expires = _check_pair(cert, key, chain, private)
    for source, content in zip(client_ca, authorities, strict=True):
        _check_authorities(source, content)
    return Certificates(cert, chain, private, authorities[0] if authorities else None, expires)


def _check_pair(cert: WatchedFile, key: WatchedFile, chain: bytes, private: bytes) -> datetime:
    """Check a certificate and its key, and return when it expires. Raises HostingError."""
    certificates = _certificates(cert, chain)
    own, now = certificates[0], datetime.now(UTC)
    public = _public_key(key, private)
    belongs = [_is_of(certificate, public) for certificate in certificates]
    if not belongs[0]:
        if any(belongs):
            raise HostingError(
                f"{cert} doesn't begin with the certificate of {key}: put that certificate first"
            )
        raise HostingError(f"{key} isn't the key of {cert}: give a certificate and its own key")
    if now >= own.not_valid_after_utc:
        raise HostingError(f"{cert} expired at {_text(own.not_valid_after_utc)}: renew it")
    if now < own.not_valid_before_utc:
        begin = _text(own.not_valid_before_utc)
        raise HostingError(f"{cert} is valid from {begin} only: wait, or set this machine's clock")
    return own.not_valid_after_utc


def _is_of(certificate: x509.Certificate, public: object) -> bool:
    try:
        return certificate.public_key() == public
    except (ValueError, UnsupportedAlgorithm):
        # The key is of an unknown kind, so it can't be ours.
        return False


def _public_key(key: WatchedFile, private: bytes) -> object:
    try:
        loaded = serialization.load_pem_private_key(private, password=None)
    except TypeError as error:
        raise HostingError(f"{key} is encrypted: give an unencrypted key") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HostingError(f"{key} isn't a private key in PEM (-----BEGIN PRIVATE KEY-----)") from error
    curve = loaded.curve if isinstance(loaded, ec.EllipticCurvePrivateKey) else None
    if not (isinstance(loaded, rsa.RSAPrivateKey) or isinstance(curve, _CURVES)):
        raise HostingError(f"{key} is of a kind that gRPC can't use: make an RSA, P-256 or P-384 key")
    return loaded.public_key()


def _check_authorities(source: WatchedFile, content: bytes) -> None:
    expire = [certificate.not_valid_after_utc for certificate in _certificates(source, content)]
    if datetime.now(UTC) >= max(expire):
        raise HostingError(
            f"{source} contains only expired certificates, the last expired at {_text(max(expire))}: "
            "renew them"
        )


def _certificates(source: WatchedFile, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except (ValueError, x509.InvalidVersion) as error:
        raise HostingError(
            f"{source} isn't a certificate in PEM (-----BEGIN CERTIFICATE-----)"
        ) from error


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
