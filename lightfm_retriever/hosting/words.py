"""Describe values and failures in plain words, without words of a programming language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

# So many characters of a value are enough to find it.
_BRIEF = 64


def shown(value: Any) -> str:
    """Describe a value: a text in quotes, a list with commas, true and false as in JSON."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(own) for own in value) or "empty"
    return repr(value)


def brief(value: Any) -> str:
    """Describe a value as `shown` does, but shorten a long one."""
    text = shown(value)
    return text if len(text) <= _BRIEF + 2 else f"{text[:_BRIEF]}..."


def meant(text: str, known: Iterable[str], *, spell: Callable[[str], str] = str) -> str:
    """Ask whether the nearest known name was meant, as `spell` writes it; "" if none is near."""
    near = get_close_matches(text, list(known), n=1)
    return f"did you mean {spell(near[0])}?" if near else ""


def wrong(value: Any, expected: str) -> str:
    """Describe a wrong value of an option: None if it is missing, True if it has no value."""
    if value is None:
        return f"is missing, but should be {expected}"
    if isinstance(value, bool):
        return f"is {'set' if value else 'not set'}, but should be {expected}"
    return f"is {shown(value)}, but should be {expected}"


def unexpected(error: BaseException) -> str:
    """Describe an unexpected error. The log has its place in the program."""
    if isinstance(error, MemoryError):
        return "there isn't enough memory"
    text = reason(error)
    return f"an unexpected error: {text}" if text else "an unexpected error"


def reason(error: BaseException) -> str:
    """Return the reason in an error; a reason of the system has no number."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} isn't {error.encoding.upper()}"
    if isinstance(error, UnicodeEncodeError):
        return "it has a character that isn't Unicode"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)
