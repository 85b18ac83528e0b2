"""Which flags go together, and where a service may listen without TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightfm_retriever.hosting.errors import ArgumentError, HostingError
from lightfm_retriever.hosting.security.checks import check_address, check_files
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings

FILE = Path("/nowhere/x.pem")
EVERYWHERE = "0.0.0.0"  # noqa: S104
TLS = SecuritySettings(cert=FILE, key=FILE)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "127.1", "localhost", "::1", "[::1]", "unix"]
)
def test_loopback_needs_no_tls(host):
    check_address(SecuritySettings(), host)


@pytest.mark.parametrize(
    "host", [EVERYWHERE, "0", "", "::", "[::]", "10.1.2.3", "2001:db8::1", "ipv4:0.0.0.0", "ipv6:[::]"]
)
def test_another_address_needs_it_or_insecure(host):
    with pytest.raises(HostingError) as caught:
        check_address(SecuritySettings(), host)
    assert f"--listen {host}: " in str(caught.value)
    assert "--insecure" in str(caught.value)
    check_address(TLS, host)
    check_address(SecuritySettings(insecure=True), host)


def test_a_token_alone_is_no_tls():
    with pytest.raises(HostingError):
        check_address(SecuritySettings(token_file=FILE), EVERYWHERE)


def test_a_name_that_nobody_knows_is_left_to_who_listens():
    check_address(SecuritySettings(), "a..b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cert": FILE}, "--tls-cert is given without --tls-key"),
        ({"key": FILE}, "--tls-key is given without --tls-cert"),
        ({"client_ca": FILE}, "--tls-client-ca is given without --tls-cert"),
        (
            {"cert": FILE, "key": FILE, "allowed_clients": ("a",)},
            "--tls-allowed-clients is given without",
        ),
    ],
)
def test_what_a_service_lacks_is_said(settings, message):
    with pytest.raises(HostingError, match=f"^{message}"):
        SecuritySettings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ca": FILE, "cert": FILE}, "cert is given without key"),
        ({"ca": FILE, "key": FILE}, "key is given without cert"),
        ({"cert": FILE, "key": FILE}, "cert is given without ca"),
        ({"server_name": "x"}, "server_name is given without ca"),
    ],
)
def test_what_a_client_lacks_is_said_by_the_names_that_its_reader_gave(settings, message):
    with pytest.raises(HostingError, match=f"^{message}"):
        ClientSecurity(**settings)
    first, words, second = message.partition(" is given without ")
    flags = f"^--{first.replace('_', '-')}{words}--{second}"
    with pytest.raises(HostingError, match=flags):
        ClientSecurity(**settings, of_flags=True)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("my secret", "the token should be printable ASCII without spaces"),
        ("secret\n", "the token ends with a line break, but should be .*: strip it"),
        ("secret\r\n", "the token ends with a line break"),
        ("", "the token is empty"),
        (b"secret", "the token should be text"),
    ],
)
def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(token, message):
    with pytest.raises(ArgumentError, match=f"^{message}") as caught:
        ClientSecurity(token=token)
    assert caught.value.argument == "token"
    assert "secret" not in str(caught.value)


def test_a_file_may_be_text():
    security = ClientSecurity(ca="ca.crt", cert="a.crt", key=Path("a.key"))
    assert (security.ca, security.cert, security.key) == (Path("ca.crt"), Path("a.crt"), Path("a.key"))
    assert security == ClientSecurity(ca=Path("ca.crt"), cert=Path("a.crt"), key="a.key")


@pytest.mark.parametrize("value", [3, True, b"ca.crt", "", "ca\x00.crt", ["ca.crt"]])
@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_what_is_no_path_of_a_file_is_refused(name, value):
    own = {"ca": "ca.crt", "cert": "a.crt", "key": "a.key", name: value}
    with pytest.raises(ArgumentError, match=f"^{name} is .*, but should be a file's path") as caught:
        ClientSecurity(**own)
    assert caught.value.argument == name


def test_a_server_name_is_text():
    with pytest.raises(ArgumentError, match=r"^server_name is 3, but should be a name, such as"):
        ClientSecurity(ca="ca.crt", server_name=3)


def test_a_token_is_not_shown():
    assert "secret" not in repr(ClientSecurity(token="secret"))  # noqa: S106


def test_files_that_nobody_named_are_not_checked():
    check_files(SecuritySettings())
    with pytest.raises(HostingError, match=r"^--token-file /nowhere/x\.pem: No such file"):
        check_files(SecuritySettings(token_file=FILE))
