"""Settings of security: encryption, and the callers that a service accepts."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, Any

from lightfm_retriever.hosting import given
from lightfm_retriever.hosting.errors import ArgumentError, FlagError
from lightfm_retriever.hosting.options import Option, names
from lightfm_retriever.hosting.security import tokens

# The longest part of a host's name.
_LONGEST_LABEL = 63
_file = partial(Option, metavar="FILE")


def _names(text: str) -> list[str]:
    found = names(text)
    if not found:
        # Without the flag any signed certificate may call. An empty variable mustn't mean that.
        raise ArgumentTypeError("there is no name in it")
    return found


@dataclass(frozen=True, kw_only=True)
class SecuritySettings:
    """Settings of a service's security. All files are PEM; None means no file."""

    cert: Annotated[
        Path | None,
        _file(
            "the server's certificate chain; PEM, read again when it changes",
            flag="tls_cert",
        ),
    ] = None
    key: Annotated[Path | None, _file("the private key of --tls-cert; PEM", flag="tls_key")] = None
    client_ca: Annotated[
        Path | None,
        _file(
            "accept only clients with a certificate that one of these CAs signed; PEM",
            flag="tls_client_ca",
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        _file(
            "accept only calls with a bearer token of this file, one on each line; read again "
            "when it changes"
        ),
    ] = None
    allowed_clients: Annotated[
        tuple[str, ...],
        Option(
            "accept only client certificates with one of these names (default: any name)",
            flag="tls_allowed_clients",
            metavar="NAME,...",
            read=_names,
        ),
    ] = ()
    insecure: Annotated[
        bool, Option("serve without TLS at addresses that other machines can reach")
    ] = False

    def __post_init__(self) -> None:
        """Raise FlagError for flags that lack or exclude one another."""
        if (self.cert is None) != (self.key is None):
            have, lack = ("cert", "key") if self.key is None else ("key", "cert")
            raise FlagError(f"--tls-{have} is given without --tls-{lack}: TLS takes both")
        if self.client_ca is not None and self.cert is None:
            raise FlagError("--tls-client-ca is given without --tls-cert and --tls-key")
        if self.allowed_clients and self.client_ca is None:
            raise FlagError("--tls-allowed-clients is given without --tls-client-ca")

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.cert is not None


@given.named_fields
@dataclass(frozen=True, kw_only=True)
class ClientSecurity:
    """The connection and the credentials of a client. All files are PEM, and read when it connects.

    Attributes:
        ca: the CAs whose certificates the client trusts; None for no TLS.
        cert, key: the client's certificate chain and private key, for services that ask for them.
        server_name: a name in the service's certificate, if the called address isn't in it.
        token: the bearer token to send. Without TLS, others on the network can read it.
        of_flags: whether flags of a command set these arguments, so that messages name the flags.

    A file may be given as text; it is kept as a Path.
    """

    ca: str | PathLike[str] | None = None
    cert: str | PathLike[str] | None = None
    key: str | PathLike[str] | None = None
    server_name: str | None = None
    token: str | None = field(default=None, repr=False)
    of_flags: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise FlagError for a wrong combination, ArgumentError for a value that can't be sent."""
        for name in ("ca", "cert", "key"):
            object.__setattr__(self, name, _path(name, getattr(self, name)))
        if self.server_name is not None:
            expected = "a name, such as 'retriever.example.com'"
            name = given.text("server_name", self.server_name, expected)
            if not name or "\0" in name or max(map(len, name.split("."))) > _LONGEST_LABEL:
                raise ArgumentError("server_name", name, expected)
        if (self.cert is None) != (self.key is None):
            have, lack = ("cert", "key") if self.key is None else ("key", "cert")
            both = f"{self.named(have)} is given without {self.named(lack)}"
            raise FlagError(f"{both}: a client's certificate takes both")
        for name in ("cert", "server_name"):
            if getattr(self, name) is not None and self.ca is None:
                raise FlagError(
                    f"{self.named(name)} is given without {self.named('ca')}, so without TLS"
                )
        _check_token(self.token)

    def named(self, name: str) -> str:
        """Return the name of an argument as its reader knows it: the argument's, or the flag's."""
        return f"--{name.replace('_', '-')}" if self.of_flags else name


def _path(argument: str, value: Any) -> Path | None:
    if value is None:
        return None
    path = fspath(value) if isinstance(value, PathLike) else value
    if not isinstance(path, str) or not path or "\0" in path:
        raise ArgumentError(argument, value, f"a file's path, such as '{argument}.pem'")
    return Path(path)


def _check_token(token: Any) -> None:
    """Raise ArgumentError for a wrong token. The error doesn't show the token: it is a secret."""
    if token is None or (isinstance(token, str) and tokens.is_token(token)):
        return
    expected = "printable ASCII without spaces"
    text = f"the token should be {expected}"
    if not isinstance(token, str):
        text = f"the token should be text: {expected}"
    elif token == "":
        text = f"the token is empty, but should be {expected}"
    elif token[-1] in "\r\n":
        text = f"the token ends with a line break, but should be {expected}: strip it"
    raise ArgumentError("token", None, expected, text=text)


PLAIN = ClientSecurity()
"""No TLS, and no credentials."""
