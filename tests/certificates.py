"""Certificates made on the fly, in files as a service gets them."""

import itertools
import os
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

NAME = "recsys.example"
OURS = "ours"


@cache
def authority(name: str) -> trustme.CA:
    """One and the same for each name."""
    return trustme.CA(organization_name=name)


def issue(
    *names: str, by: str = OURS, common_name: str | None = None, **validity: datetime
) -> trustme.LeafCert:
    """A certificate for some names, of services by default."""
    return authority(by).issue_cert(
        *(names or (NAME, "127.0.0.1")), common_name=common_name, **validity
    )


def expired() -> trustme.LeafCert:
    """One that was good until the day before yesterday."""
    now = datetime.now(UTC)
    return issue(not_before=now - timedelta(days=9), not_after=now - timedelta(days=2))


def chain(leaf: trustme.LeafCert) -> bytes:
    """Its certificates, its own first, in PEM."""
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems)


def key(leaf: trustme.LeafCert) -> bytes:
    """Its private key, in PEM."""
    return leaf.private_key_pem.bytes()


class Secret:
    """tls.crt, tls.key and ca.crt as Kubernetes mounts them: a link is swapped, all change at once."""

    def __init__(self, folder: Path, leaf: trustme.LeafCert, *, client_ca: str = OURS) -> None:
        folder.mkdir()
        self._folder = folder
        self._numbers = itertools.count()
        self.cert, self.key, self.ca = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        for path in (self.cert, self.key, self.ca):
            path.symlink_to(Path("..data") / path.name)
        self.replace(chain(leaf), key(leaf), client_ca=client_ca)

    def replace(self, cert: bytes, private: bytes, *, client_ca: str = OURS) -> None:
        """Swap the link."""
        real = self._folder / f"..{next(self._numbers)}"
        real.mkdir()
        for path, content in (
            (self.cert, cert),
            (self.key, private),
            (self.ca, authority(client_ca).cert_pem.bytes()),
        ):
            (real / path.name).write_bytes(content)
        new = self._folder / "..data_tmp"
        new.symlink_to(real.name)
        os.replace(new, self._folder / "..data")


def write(folder: Path, leaf: trustme.LeafCert, name: str = "client") -> dict[str, Path]:
    """Files of a client's certificate: {"cert": ..., "key": ...}."""
    paths = {"cert": folder / f"{name}.crt", "key": folder / f"{name}.key"}
    paths["cert"].write_bytes(chain(leaf))
    paths["key"].write_bytes(key(leaf))
    return paths


def encrypted(leaf: trustme.LeafCert) -> bytes:
    """Its private key with a password, in PEM."""
    return serialization.load_pem_private_key(key(leaf), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
