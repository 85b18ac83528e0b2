"""What a handshake would fail for is found before, and said."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security import certificates
from lightfm_retriever.hosting.security.checks import check_files
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings
from tests.certificates import Secret, authority, chain, encrypted, expired, issue, key, write

NOW = datetime.now(UTC)
OURS, OTHER = issue(), issue()
RUBBISH = b"rubbish\n"


@pytest.fixture
def secret(tmp_path):
    return Secret(tmp_path / "secret", OURS)


def settings(secret, *, mutual=True):
    return SecuritySettings(cert=secret.cert, key=secret.key, client_ca=secret.ca if mutual else None)


def test_what_is_good_is_taken(secret):
    found = certificates.watch(settings(secret)).value
    assert (found.chain, found.key) == (chain(OURS), key(OURS))
    assert found.authorities == authority("ours").cert_pem.bytes()
    assert found.warning() is None
    assert certificates.watch(settings(secret, mutual=False)).value.authorities is None


def refused(secret, cert, private):
    secret.replace(cert, private)
    with pytest.raises(HostingError) as caught:
        check_files(settings(secret))
    return str(caught.value).replace(str(secret.cert), "CERT").replace(str(secret.key), "KEY")


OTHER_KEY = ed25519.Ed25519PrivateKey.generate()
ED25519 = OTHER_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("cert", "private", "message"),
    [
        (RUBBISH, key(OURS), "--tls-cert CERT isn't a certificate in PEM"),
        (b"", key(OURS), "--tls-cert CERT isn't a certificate in PEM"),
        (chain(OURS)[:200], key(OURS), "--tls-cert CERT isn't a certificate in PEM"),
        (key(OURS), key(OURS), "--tls-cert CERT isn't a certificate in PEM"),
        (chain(OURS), RUBBISH, "--tls-key KEY isn't a private key in PEM"),
        (chain(OURS), chain(OURS), "--tls-key KEY isn't a private key in PEM"),
        (chain(OURS), encrypted(OURS), "--tls-key KEY is encrypted"),
        (chain(OURS), ED25519, "--tls-key KEY is of a kind that gRPC can't use"),
        (chain(OURS), key(OTHER), "--tls-key KEY isn't the key of --tls-cert CERT"),
        (chain(OTHER) + chain(OURS), key(OURS), "--tls-cert CERT begins with another certificate"),
    ],
)
def test_what_no_handshake_takes_is_refused(secret, cert, private, message):
    assert refused(secret, cert, private).startswith(message)


def remade(certificate, old, new):
    """A certificate that has other bytes in one place; its signature, which nobody checks, stays."""
    content = ssl.PEM_cert_to_DER_cert(certificate.decode())
    assert old in content
    return ssl.DER_cert_to_PEM_cert(content.replace(old, new)).encode()


# The object identifiers of elliptic curves' keys and of P-256, and version 3.
KEY_KIND, CURVE = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06082a8648ce3d030107")
VERSION = bytes.fromhex("a003020102")


@pytest.mark.parametrize(
    ("old", "new"), [(KEY_KIND, KEY_KIND[:-1] + b"\x7f"), (CURVE, CURVE[:-1] + b"\x7f")]
)
def test_a_certificate_with_a_key_of_an_unknown_kind_is_refused_like_any_other(secret, old, new):
    leaf = OURS.cert_chain_pems[0].bytes()
    strange = remade(leaf, old, new)
    assert refused(secret, strange, key(OURS)).startswith("--tls-key KEY isn't the key of --tls-cert")
    # Whose key those above it have matters to clients alone.
    secret.replace(leaf + strange, key(OURS))
    check_files(settings(secret))


def test_a_certificate_of_an_unknown_version_is_none(secret):
    strange = remade(OURS.cert_chain_pems[0].bytes(), VERSION, VERSION[:-1] + b"\x07")
    assert refused(secret, strange, key(OURS)).startswith("--tls-cert CERT isn't a certificate in PEM")


def test_one_that_has_expired_or_is_not_valid_yet_is_refused_with_the_time(secret):
    old = expired()
    assert f"expired at {NOW - timedelta(days=2):%Y-%m-%dT}" in refused(secret, chain(old), key(old))
    new = issue(not_before=NOW + timedelta(days=1), not_after=NOW + timedelta(days=2))
    message = refused(secret, chain(new), key(new))
    assert f"is valid from {NOW + timedelta(days=1):%Y-%m-%dT}" in message


@pytest.mark.parametrize(
    ("name", "flag"), [("cert", "--tls-cert"), ("key", "--tls-key"), ("ca", "--tls-client-ca")]
)
def test_a_missing_file_is_named_with_its_flag(secret, name, flag):
    path = getattr(secret, name)
    path.unlink()
    with pytest.raises(HostingError) as caught:
        check_files(settings(secret))
    assert str(caught.value) == f"{flag} {path}: No such file or directory"


def test_a_client_ca_must_be_a_certificate(secret):
    secret.ca.unlink()
    secret.ca.write_bytes(RUBBISH)
    with pytest.raises(HostingError, match=f"^--tls-client-ca {secret.ca} isn't a certificate"):
        check_files(settings(secret))
    secret.ca.write_bytes(chain(expired()))
    with pytest.raises(HostingError, match=f"^--tls-client-ca {secret.ca} holds expired"):
        check_files(settings(secret))
    # Some of a bundle always have.
    secret.ca.write_bytes(chain(expired()) + authority("ours").cert_pem.bytes())
    check_files(settings(secret))


@pytest.mark.parametrize(("days", "warns"), [(6, True), (8, False)])
def test_one_that_expires_within_a_week_is_warned_of_once(tmp_path, caplog, days, warns):
    secret = Secret(tmp_path / "secret", issue(not_after=NOW + timedelta(days=days)))
    watched = certificates.watch(settings(secret))
    with caplog.at_level(logging.WARNING):
        watched.look()
        watched.look()
    assert [f"--tls-cert {secret.cert} expires at" in line for line in caplog.messages] == [
        True
    ] * warns


def test_one_that_expires_while_it_is_in_use_is_warned_of(secret):
    found = certificates.watch(settings(secret)).value
    past = certificates.Certificates(
        found.where, found.chain, found.key, None, datetime.now(UTC) - timedelta(seconds=1)
    )
    assert "which is in use, expired at" in str(past.warning())


def test_a_client_reads_the_same_with_its_own_flags(tmp_path):
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority("ours").cert_pem.bytes())
    assert certificates.read_authorities(ClientSecurity(ca=ca)) == ca.read_bytes()
    client = issue("client")
    files = write(tmp_path, client)
    security = ClientSecurity(ca=ca, **files)
    assert certificates.read_pair(security) == (chain(client), key(client))
    assert certificates.read_pair(ClientSecurity(ca=ca)) is None
    files["key"].write_bytes(key(OTHER))
    ca.unlink()
    for of_flags, dashes in ((False, ""), (True, "--")):
        security = ClientSecurity(ca=ca, **files, of_flags=of_flags)
        with pytest.raises(HostingError, match=rf"^{dashes}key .* isn't the key of {dashes}cert "):
            certificates.read_pair(security)
        with pytest.raises(HostingError, match=f"^{dashes}ca {ca}: No such file"):
            certificates.read_authorities(security)


def test_an_odd_certificate_of_somebody_else_makes_no_warning_of_a_library(tmp_path):
    """Systems have authorities whose serial number is 0."""
    number, zero = b"\x02\x01\x07", b"\x02\x01\x00"
    builder = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), OTHER_KEY.public_key(), 7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=9))
    )
    made = builder.sign(OTHER_KEY, None).public_bytes(serialization.Encoding.DER)
    odd = tmp_path / "odd.crt"
    odd.write_text(ssl.DER_cert_to_PEM_cert(made.replace(number, zero, 1)))
    code = f"""
from lightfm_retriever.hosting.security import certificates
from lightfm_retriever.hosting.security.settings import ClientSecurity
print(len(certificates.read_authorities(ClientSecurity(ca={str(odd)!r}))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(odd.stat().st_size), "")
