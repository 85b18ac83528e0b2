"""Which flags go together, and where a service may listen without TLS."""

from pathlib import Path

import pytest

from lightfm_retriever.hosting.errors import ArgumentError, HostingError
from lightfm_retriever.hosting.security.checks import check_address
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings

FILE = Path("/nowhere/x.pem")


def test_loopback_needs_no_tls_and_another_address_needs_it_or_insecure():
    # Who listens is told of a name that nobody knows.
    for host in ("127.8.9.10", "127.1", "localhost", "::1", "[::1]", "unix", "a..b"):
        check_address(SecuritySettings(), host)
    for host in ("0", "", "::", "[::]", "10.1.2.3", "2001:db8::1", "ipv4:0.0.0.0"):
        with pytest.raises(HostingError, match=r".* --insecure") as caught:
            check_address(SecuritySettings(token_file=FILE), host)
        assert str(caught.value).startswith(f"--listen {host}: ")
        check_address(SecuritySettings(cert=FILE, key=FILE), host)
        check_address(SecuritySettings(insecure=True), host)


def test_what_lacks_is_said_by_the_names_that_its_reader_gave():
    for kind, settings, first, second in (
        (SecuritySettings, "cert", "--tls-cert", "--tls-key"),
        (SecuritySettings, "key", "--tls-key", "--tls-cert"),
        (SecuritySettings, "client_ca", "--tls-client-ca", "--tls-cert"),
        (SecuritySettings, "cert key allowed_clients", "--tls-allowed-clients", "--tls-client-ca"),
        (ClientSecurity, "ca cert", "cert", "key"),
        (ClientSecurity, "ca key", "key", "cert"),
        (ClientSecurity, "cert key", "cert", "ca"),
        (ClientSecurity, "server_name", "server_name", "ca"),
    ):
        own = dict.fromkeys(settings.split(), "x")
        with pytest.raises(HostingError, match=f"^{first} is given without {second}"):
            kind(**own)
        if kind is ClientSecurity:
            flags = f"^--{first.replace('_', '-')} is given without --{second}"
            with pytest.raises(HostingError, match=flags):
                kind(**own, of_flags=True)


def test_what_cannot_be_sent_is_refused_without_showing_a_secret():
    for name, value, message in (
        ("token", "my secret", "the token should be printable ASCII without spaces"),
        ("token", "secret\r\n", "the token ends with a line break, but should be .*: strip it"),
        ("token", "", "the token is empty"),
        ("token", b"secret", "the token should be text"),
        ("server_name", 3, "server_name is 3, but should be a name, such as"),
        ("server_name", "x" * 64, "server_name is the text 'x.*, but should be a name, such as"),
        *(("ca", value, "ca is .*, but should be a file's path") for value in (3, b"ca", "", "c\x00")),
    ):
        with pytest.raises(ArgumentError, match=f"^{message}") as caught:
            ClientSecurity(**{"ca": "ca.crt", name: value})
        assert caught.value.argument == name
        assert "secret" not in str(caught.value)


def test_a_file_may_be_text_and_a_token_is_not_shown():
    security = ClientSecurity(ca="ca.crt", cert="a.crt", key=Path("a.key"), token="secret")  # noqa: S106
    assert (security.ca, security.cert, security.key) == (Path("ca.crt"), Path("a.crt"), Path("a.key"))
    assert "secret" not in repr(security)
