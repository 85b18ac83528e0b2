"""The flags of commands that ask a service: the connection, its certificates and its token."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting import addresses, given, words
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.hosting.security import tokens
from lightfm_retriever.hosting.security.settings import ClientSecurity

_FLAGS = (
    ("ca", Path, "FILE", "connect by TLS, and trust certificates that one of these CAs signed; PEM"),
    ("cert", Path, "FILE", "the client's certificate chain; PEM"),
    ("key", Path, "FILE", "the private key of --cert; PEM"),
    ("server-name", str, "NAME", "a name in the service's certificate, if --target isn't in it"),
    ("client-token-file", Path, "FILE", "send the bearer token in this file"),
)

# A reason that begins with one of these words continues a sentence with the name.
_VERBS = ("is", "are", "has", "have", "can't")


def add(parser: argparse._ActionsContainer, *, timeout_seconds: float | None, prefix: str = "") -> None:
    """Add the flags. A variable such as RETRIEVER_CLIENT_CA sets each but --timeout.

    Args:
        parser: gets the flags.
        timeout_seconds: default of --timeout; None adds no such flag.
        prefix: the beginning of the variables' names, for the help; "" if no variable sets a flag.
    """
    if timeout_seconds is not None:
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=timeout_seconds,
            metavar="SECONDS",
            help="seconds to wait for an answer (default: %(default)g)",
        )
    for flag, of, metavar, what in _FLAGS:
        setting = f"client_{_dest(flag).removeprefix('client_')}"
        told = f"{what} (or set {prefix}{setting.upper()})" if prefix else what
        default = argparse.SUPPRESS
        added = parser.add_argument(f"--{flag}", type=of, default=default, metavar=metavar, help=told)
        vars(added)["setting"] = setting


def add_target(
    parser: argparse._ActionsContainer, default: str, prefix: str, **more: Any
) -> argparse.Action:
    """Add --target. The variable of the service's own --listen sets it too."""
    told = f"the service to ask (or set {prefix}LISTEN; default: %(default)s)"
    added = parser.add_argument(
        "--target",
        type=target,
        default=default,
        metavar="HOST:PORT",
        **{"help": told, **more},
    )
    vars(added)["setting"] = "listen"
    return added


def target(text: str) -> str:
    """Read the address of a service; ArgumentTypeError for another text."""
    try:
        addresses.parse(text)
    except addresses.AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def seconds(text: str) -> float:
    """Read a number of seconds to wait; ArgumentTypeError for another text."""
    try:
        return given.seconds("timeout", float(text))
    except ArgumentError as error:
        expected = error.expected
    except ValueError:
        expected = "a number of seconds, such as 0.5"
    raise argparse.ArgumentTypeError(f"{words.brief(text)} should be {expected}")


def client_security(options: argparse.Namespace) -> ClientSecurity:
    """Make the security of the flags; HostingError for unreadable files or a wrong combination."""
    given = {_dest(flag): getattr(options, _dest(flag), None) for flag, *_ in _FLAGS}
    token_file = given.pop("client_token_file")
    token = None if token_file is None else tokens.read_first(token_file)
    return ClientSecurity(**given, token=token, of_flags=True)


def _dest(flag: str) -> str:
    return flag.replace("-", "_")


def refusal(details: str, names: Mapping[str, str]) -> str:
    """Name the flag, and not the field, in a service's refusal of a field.

    Args:
        details: the service's text: "spec.data.users: is 'x', but should be ...".
        names: flags and arguments, by the field that each sets.
    """
    field, colon, why = details.partition(": ")
    # A reason may name another field, such as the other end of a range.
    why = re.sub(r"\b[a-z]+_[a-z_]+\b", lambda found: names.get(found[0], found[0]), why)
    for part in reversed(field.split(".")):
        if colon and (name := names.get(part.partition("[")[0])):
            return f"{name} {why}" if why.partition(" ")[0] in _VERBS else f"{name}: {why}"
    return details
