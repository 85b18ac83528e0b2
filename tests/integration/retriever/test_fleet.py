"""The status of several retrievers that run, and of some that don't."""

from __future__ import annotations

import socket

import pytest

from lightfm_retriever.publication import labels, layout
from retriever.__main__ import main
from tests import certificates, retrievable
from tests.certificates import Secret


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    volume = tmp_path_factory.mktemp("fleet") / "volume"
    retrievable.publish(volume)
    return volume


@pytest.fixture(scope="module")
def both(start_once, volume):
    """Two that follow the same label of the same volume."""
    return start_once(volume, workers=1), start_once(volume, workers=1)


@pytest.fixture
def ask(capsys):
    """Asks a fleet; returns the exit status and what is printed."""

    def ask(*targets, flags=()):
        code = main(["status", "--fleet", ",".join(targets), *flags])
        captured = capsys.readouterr()
        assert captured.err == ""
        return code, captured.out

    return ask


@pytest.fixture
def dead():
    """An address at which nobody listens, and which nobody else gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_two_that_serve_the_same_and_one_that_is_dead(ask, both, dead, volume):
    version = labels.read_label(volume, layout.DEFAULT_LABEL)
    code, output = ask(*(service.target for service in both))
    assert code == 0
    summary, _, *rows = output.splitlines()
    assert summary == f"all 2 serve {version}"
    for row, service in zip(rows, both, strict=True):
        assert row.startswith(f"{service.target}  serving  {version}  1 of 1   current  {version}  ")
    code, output = ask(both[0].target, dead, both[1].target)
    assert code == 1
    summary, _, first, second, third = output.splitlines()
    assert summary.startswith("NOT all 3 serve the same; ")
    assert summary.endswith(f"unreachable: {dead}")
    assert "  serving  " in first
    assert second.startswith(f"{dead}  unreachable  ")
    assert "connection refused" in second
    assert "  serving  " in third


def test_certificates_and_tokens_are_shown_to_each(ask, start, tmp_path, volume):
    secret = Secret(tmp_path / "secret", certificates.issue())
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token\n")
    flags = {"tls_cert": secret.cert, "tls_key": secret.key, "token_file": tokens}
    secured = [start(volume, serving=False, workers=1, **flags) for _ in range(2)]
    targets = [service.target for service in secured]
    shown = ["--ca", str(secret.ca), "--client-token-file", str(tokens)]
    while (answer := ask(*targets, flags=shown))[0]:
        pass
    assert answer[1].startswith("all 2 serve ")
    code, output = ask(*targets, flags=["--ca", str(secret.ca)])
    assert (code, output.count("UNAUTHENTICATED")) == (1, 2)
    code, output = ask(*targets)
    assert (code, output.count("the service speaks TLS: give --ca")) == (1, 2)
