"""What gRPC is told of certificates, and what a failed connection is called."""

from __future__ import annotations

from lightfm_retriever.hosting.security import certificates, credentials
from lightfm_retriever.hosting.security.settings import SecuritySettings
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
