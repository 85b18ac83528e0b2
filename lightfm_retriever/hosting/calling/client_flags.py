"""The flags of commands that ask a service: how they connect, and what they show."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from lightfm_retriever.hosting import addresses, given, words
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.hosting.security import tokens
from lightfm_retriever.hosting.security.settings import ClientSecurity

_FLAGS = (
    ("ca", Path, "FILE", "connect by TLS to a service whose certificate one of these signed, PEM"),
    ("cert", Path, "FILE", "the certificate to show it, and those it was signed by, PEM"),
    ("key", Path, "FILE", "its private key, PEM"),
    ("server-name", str, "NAME", "a name in the service's certificate, when --target has none"),
    ("client-token-file", Path, "FILE", "send the bearer token in it"),
)


def add(parser: argparse._ActionsContainer, defaults: Mapping[str, str]) -> None:
    """Add them; `defaults` are what variables set, by setting: {"client_ca": ...}."""
    for flag, of, metavar, what in _FLAGS:
        parser.add_argument(
            f"--{flag}",
            type=of,
            default=defaults.get(_setting(flag), argparse.SUPPRESS),
            metavar=metavar,
            help=what,
        )


def target(text: str) -> str:
    """An address of a service, as a flag's value; ArgumentTypeError for what is none."""
    try:
        addresses.parse(text)
    except addresses.AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def seconds(text: str) -> float:
    """How long to wait, as a flag's value; ArgumentTypeError for what is no such time."""
    try:
        return given.seconds("timeout", float(text))
    except ArgumentError as error:
        expected = error.expected
    except ValueError:
        expected = "a number of seconds, such as 0.5"
    raise argparse.ArgumentTypeError(f"{words.brief(text)} should be {expected}")


def client_security(options: argparse.Namespace) -> ClientSecurity:
    """What the flags say. Raises HostingError for what can't be together or be read."""
    given = {_dest(flag): getattr(options, _dest(flag), None) for flag, *_ in _FLAGS}
    token_file = given.pop("client_token_file")
    token = None if token_file is None else tokens.read_first(token_file)
    return ClientSecurity(**given, token=token, of_flags=True)


def _setting(flag: str) -> str:
    return f"client_{_dest(flag).removeprefix('client_')}"


def _dest(flag: str) -> str:
    return flag.replace("-", "_")
