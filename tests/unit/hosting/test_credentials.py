"""What gRPC is told of certificates, and what a failed connection is called."""

from __future__ import annotations

import pytest

from hosting import certificates, credentials
from hosting.security import ClientSecurity, SecuritySettings
from tests.certificates import Secret, chain, issue, key


def test_grpc_is_told_of_a_change_once(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(credentials, "_configuration", lambda found: made.append(found.chain) or found)
    new = issue()
    secret = Secret(tmp_path / "secret", issue())
    watched = certificates.watch(SecuritySettings(cert=secret.cert, key=secret.key))
    fetcher = credentials.Fetcher(watched)
    assert fetcher() is None
    secret.replace(chain(new), key(new))
    # gRPC asks on a thread that must not wait for files: somebody else looks.
    assert fetcher() is None
    watched.look()
    assert fetcher() is not None
    assert fetcher() is None
    assert made == [chain(new)]


PLAIN, TLS = ClientSecurity(), ClientSecurity(ca="ca")
MUTUAL = ClientSecurity(ca="ca", cert="cert", key="key")
TRIED = "failed to connect to all addresses; last error: "


@pytest.mark.parametrize(
    ("security", "details", "words"),
    [
        (
            PLAIN,
            f"{TRIED}UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed",
            "the service closed the connection: if it speaks TLS, give --ca",
        ),
        (
            TLS,
            f"{TRIED}UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed",
            "the service closed the connection: it may want a client certificate, --cert and --key",
        ),
        (
            MUTUAL,
            f"{TRIED}UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed",
            "the service closed the connection: it may want a certificate that another CA signed",
        ),
        (
            PLAIN,
            f"{TRIED}UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: Connection refused",
            "",
        ),
    ],
)
def test_a_failed_connection_is_put_in_words(security, details, words):
    assert credentials._in_words(details, security) == words
