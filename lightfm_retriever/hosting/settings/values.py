"""Reads one setting from the text of a flag, a variable or a file."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.errors import FlagError

_NUMBERS: dict[Any, str] = {int: "a whole number", float: "a number"}
_LARGEST = {int: "of at most 18 digits", float: "of at most 1e308"}


@dataclass(frozen=True)
class PathType:
    """The type of a flag that takes a path. A path may have any bytes, as file names may."""

    convert: Callable[[str], Any] = str

    def __call__(self, text: str) -> Any:
        """Make the flag's value."""
        return self.convert(text)


def is_utf8(text: str) -> bool:
    """Say whether a text came in UTF-8: other bytes of a command line are lone surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def value_of(action: argparse.Action, text: str, name: str) -> Any:
    """Read the text of a setting.

    Args:
        action: the setting's flag.
        text: the given text.
        name: the name of its place: a flag, a variable, or a file and its key.

    Raises FlagError, whose text begins with the name.
    """
    if problem := _problem_of(action, text):
        raise FlagError(f"{name} {problem}")
    convert: Any = action.type or str
    try:
        value = _number(convert, text) if convert in _NUMBERS else convert(text)
    except argparse.ArgumentTypeError as error:
        reason = str(error)
        # Some reasons begin with the value.
        told = name if reason.startswith(words.brief(text)) else f"{name} is {words.brief(text)}"
        raise FlagError(f"{told}: {reason}") from error
    except (ValueError, TypeError) as error:
        expected = str(error) if convert in _NUMBERS else "something that can be read"
        raise FlagError(f"{name} is {words.brief(text)}, but should be {expected}") from error
    check_choice(action, value, name)
    return value


def check_choice(action: argparse.Action, value: Any, name: str) -> None:
    """Raise FlagError for a value that isn't among a flag's choices."""
    if action.choices is not None and value not in action.choices:
        known = [str(one) for one in action.choices]
        # The nearest choice is enough in place of a long list.
        hint = words.meant(str(value), known)
        expected = f"one of {', '.join(known)}" + (f"; {hint}" if hint else "")
        raise FlagError(f"{name} is {words.brief(value)}, but should be {expected}")


def _problem_of(action: argparse.Action, text: str) -> str | None:
    """Describe a fault of a text that is wrong for any setting; None if there is none."""
    if "\0" in text:
        # A TOML file can hold one, but no path or name can.
        return f"is {words.brief(text)}: it has a NUL character in it"
    if action.type is Path or isinstance(action.type, PathType):
        # An empty path would be the current directory.
        return None if text else "is an empty path: give one, such as . for the current directory"
    return None if is_utf8(text) else f"is {words.brief(text)}, which isn't valid UTF-8"


def _number(of: Any, text: str) -> Any:
    """Read a number. The text of its ValueError is the expected value."""
    try:
        value = of(text)
    except ValueError:
        # Python refuses numbers of thousands of digits.
        if not text.strip().lstrip("+-").isdecimal():
            raise ValueError(_NUMBERS[of]) from None
        value = None
    has_digits = any(one.isdecimal() for one in text)
    if value is None or (has_digits and not abs(value) < (10**18 if of is int else math.inf)):
        raise ValueError(f"{_NUMBERS[of]} {_LARGEST[of]}")
    return value
