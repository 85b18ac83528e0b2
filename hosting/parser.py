"""The parser of both command lines: what is wrong with a flag, and its default, in words for people."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from hosting.release import release

KINDS: dict[Any, str] = {int: "a whole number", float: "a number"}
"""What a flag of such a type takes."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser; the parsers of its commands are such too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # argparse would say "invalid int value".
        for of, kind in KINDS.items():
            self.register("type", of, converter(of, kind))


def add_version(parser: argparse.ArgumentParser, program: str) -> None:
    """Add --version, which prints the program and its release."""
    parser.add_argument(
        "--version",
        action="version",
        version=f"{program} {release()}",
        help="print the release of this software",
    )


class Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the defaults that are values: a flag that is off or left out has none."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default, text = action.default, action.help
        if default is argparse.SUPPRESS or text is None or "(default: " in text or "%(default)" in text:
            return text
        if default is None or isinstance(default, bool) or default in ("", []):
            return text
        told = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{text} (default: {told.replace('%', '%%')})"


def converter(of: Callable[[str], Any], kind: str) -> Callable[[str], Any]:
    """Read a text as a number; ArgumentTypeError for anything else."""

    def convert(text: str) -> Any:
        try:
            return of(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} should be {kind}") from None

    return convert
