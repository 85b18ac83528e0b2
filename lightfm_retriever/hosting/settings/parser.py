"""The parser of both command lines: what is wrong with a flag, and its default, in words for people."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.release import release

KINDS: dict[Any, str] = {int: "a whole number", float: "a number"}
"""What a flag of such a type takes."""

_LARGEST = {int: "of at most 18 digits", float: "of at most 1e308"}


@dataclass(frozen=True)
class PathType:
    """The type of a flag that takes a path, which may have any bytes, as file names may."""

    convert: Callable[[str], Any] = str

    def __call__(self, text: str) -> Any:
        """What the flag's value is."""
        return self.convert(text)


def is_utf8(text: str) -> bool:
    """Whether a text came in UTF-8: other bytes of a command line are lone surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def problem_of(action: argparse.Action, text: str) -> str | None:
    """What is wrong with a flag's text, whatever the flag is; None for nothing."""
    if "\0" in text:
        # A file of settings can hold one, and nothing that a setting names can.
        return "it has a NUL character in it"
    if action.type is Path or isinstance(action.type, PathType):
        # It would be the current directory.
        return None if text else "an empty path: give one, such as . for the current directory"
    return None if is_utf8(text) else f"{text!r} isn't valid UTF-8"


def read_number(of: Any, text: str) -> Any:
    """A number of one of KINDS; ValueError, whose text is what it should be, for what is none."""
    try:
        value = of(text)
    except ValueError:
        # Python reads no number of thousands of digits.
        if not text.strip().lstrip("+-").isdecimal():
            raise ValueError(KINDS[of]) from None
        value = None
    has_digits = any(one.isdecimal() for one in text)
    if value is None or (has_digits and not abs(value) < (10**18 if of is int else math.inf)):
        raise ValueError(f"{KINDS[of]} {_LARGEST[of]}")
    return value


class Parser(argparse.ArgumentParser):
    """An ArgumentParser; the parsers of its commands are such too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # argparse would say "invalid int value".
        for of in KINDS:
            self.register("type", of, _converter(of))

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        # What follows a command's name is its own parser's to judge.
        if not isinstance(action, argparse._SubParsersAction) and (  # noqa: SLF001 - no other name
            problem := problem_of(action, arg_string)
        ):
            raise argparse.ArgumentError(action, problem)
        return super()._get_value(action, arg_string)


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


def _converter(of: Any) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return read_number(of, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{words.brief(text)} should be {error}") from None

    return convert
