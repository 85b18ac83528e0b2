"""What a handshake would fail for is found before, and said."""

import ssl
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.security import certificates
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings
from tests.certificates import Secret, authority, chain, encrypted, expired, issue, key, write

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
OURS, OTHER, OLD = issue(), issue(), expired()
NEW = issue(not_before=NOW + DAY, not_after=NOW + 2 * DAY)
LEAF, CA = OURS.cert_chain_pems[0].bytes(), authority("ours").cert_pem.bytes()
OTHER_KEY = ed25519.Ed25519PrivateKey.generate()
ED25519 = OTHER_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
RUBBISH = b"rubbish\n"


@pytest.fixture
def secret(tmp_path):
    return Secret(tmp_path / "secret", OURS)


def watch(secret, *, mutual=True):
    ca = secret.ca if mutual else None
    return certificates.watch(SecuritySettings(cert=secret.cert, key=secret.key, client_ca=ca))


def test_what_is_good_is_taken(secret):
    found = watch(secret).value
    assert (found.chain, found.key, found.authorities) == (chain(OURS), key(OURS), CA)
    assert found.warning() is None
    assert "which is in use, expired at" in str(replace(found, expires=NOW).warning())
    assert watch(secret, mutual=False).value.authorities is None


def remade(old, new):
    """Our certificate with other bytes in one place; its signature, which nobody checks, stays."""
    content = ssl.PEM_cert_to_DER_cert(LEAF.decode())
    old, new = bytes.fromhex(old), bytes.fromhex(new)
    assert old in content
    return ssl.DER_cert_to_PEM_cert(content.replace(old, new)).encode()


# The object identifiers of elliptic curves' keys and of P-256, and version 3.
STRANGE_KIND = remade("06072a8648ce3d0201", "06072a8648ce3d027f")
STRANGE_CURVE = remade("06082a8648ce3d030107", "06082a8648ce3d03017f")
STRANGE_VERSION = remade("a003020102", "a003020107")
NO_CERTIFICATE = "--tls-cert CERT isn't a certificate in PEM"
OTHERS_KEY = "--tls-key KEY isn't the key of --tls-cert CERT"


def test_what_no_handshake_takes_is_refused(secret):
    for cert, private, message in (
        (RUBBISH, key(OURS), NO_CERTIFICATE),
        (STRANGE_VERSION, key(OURS), NO_CERTIFICATE),
        (chain(OURS), chain(OURS), "--tls-key KEY isn't a private key in PEM"),
        (chain(OURS), encrypted(OURS), "--tls-key KEY is encrypted"),
        (chain(OURS), ED25519, "--tls-key KEY is of a kind that gRPC can't use"),
        (chain(OURS), key(OTHER), OTHERS_KEY),
        (STRANGE_KIND, key(OURS), OTHERS_KEY),
        (STRANGE_CURVE, key(OURS), OTHERS_KEY),
        (
            chain(OTHER) + chain(OURS),
            key(OURS),
            "--tls-cert CERT doesn't begin with the certificate of",
        ),
        (chain(OLD), key(OLD), f"--tls-cert CERT expired at {NOW - 2 * DAY:%Y-%m-%dT}"),
        (chain(NEW), key(NEW), f"--tls-cert CERT is valid from {NOW + DAY:%Y-%m-%dT}"),
    ):
        secret.replace(cert, private)
        with pytest.raises(HostingError) as caught:
            watch(secret)
        told = str(caught.value).replace(str(secret.cert), "CERT").replace(str(secret.key), "KEY")
        assert told.startswith(message)
    # Whose key those above it have matters to clients alone.
    secret.replace(LEAF + STRANGE_KIND + STRANGE_CURVE, key(OURS))
    watch(secret)


def test_a_client_ca_that_is_none_is_named_with_its_flag(secret):
    secret.ca.unlink()
    of_the_past = (chain(OLD), "contains only expired certificates")
    for content, message in ((RUBBISH, "isn't a certificate in PEM"), of_the_past):
        secret.ca.write_bytes(content)
        with pytest.raises(HostingError, match=f"^--tls-client-ca {secret.ca} {message}"):
            watch(secret)
    # Some of a bundle always have expired.
    secret.ca.write_bytes(chain(OLD) + CA)
    watch(secret)


def test_one_that_expires_within_a_week_is_warned_of_once(secret, caplog):
    for days in (8, 6):
        assert caplog.messages == []
        made = issue(not_after=NOW + days * DAY)
        secret.replace(chain(made), key(made))
        watched = watch(secret)
        watched.look()
        watched.look()
    [warning] = caplog.messages
    assert f"--tls-cert {secret.cert} expires at" in warning


def test_a_client_reads_the_same_with_its_own_flags(tmp_path):
    ca = tmp_path / "ca.crt"
    ca.write_bytes(CA)
    assert certificates.read_client(ClientSecurity(ca=ca)) == [CA]
    client = issue("client")
    files = write(tmp_path, client)
    security = ClientSecurity(ca=ca, **files)
    assert certificates.read_client(security) == [CA, chain(client), key(client)]
    files["key"].write_bytes(key(OTHER))
    for of_flags, dashes in ((False, ""), (True, "--")):
        security = ClientSecurity(ca=ca, **files, of_flags=of_flags)
        with pytest.raises(HostingError, match=rf"^{dashes}key .* isn't the key of {dashes}cert "):
            certificates.read_client(security)


def test_an_odd_certificate_of_somebody_else_makes_no_warning_of_a_library(tmp_path):
    """Systems have authorities whose serial number is 0."""
    builder = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), OTHER_KEY.public_key(), 7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 9 * DAY)
    )
    made = builder.sign(OTHER_KEY, None).public_bytes(serialization.Encoding.DER)
    odd = tmp_path / "odd.crt"
    odd.write_text(ssl.DER_cert_to_PEM_cert(made.replace(b"\x02\x01\x07", b"\x02\x01\x00", 1)))
    code = f"""
from lightfm_retriever.hosting.security import certificates
from lightfm_retriever.hosting.security.settings import ClientSecurity
print(len(certificates.read_client(ClientSecurity(ca={str(odd)!r}))[0]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(odd.stat().st_size), "")
