"""Describe how one file is written: its columns, header, separator and encoding."""

from __future__ import annotations

import codecs
import csv
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainer.errors import OptionError

UTF_8 = "utf-8"
REST = "..."
"""The last name of a header that leaves out all further columns."""

_SPELLED = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_LONGEST = 8
# Texts of programs and of domain names; some take time by the square of the length.
_OF_PROGRAMS = {"idna", "punycode", "unicode_escape", "unicode-escape", "raw_unicode_escape"}
_OF_PROGRAMS |= {"raw-unicode-escape", "undefined", "utf-7"}
_NEVER = '"\r\n\\\0'


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The writing of one file.

    Attributes:
        columns: the file's column for each of this project's names, such as {"user_id": "userId"}. ""
            leaves out an optional column.
        header: the names of the columns of a text file that has no header. "" leaves out a column, and
            REST at the end leaves out the further ones.
        separator: of columns in a text file; None for the one that the file's name says.
        encoding: the name of a codec of Python, for a text file.
        escaped_quotes: whether a backslash in a text file makes the next character plain.
        recognises: whether usual other names of columns are read, too.
        flags: the beginning of the flags for this file, such as "--item-"; "" if it has none.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    header: Sequence[str] = ()
    separator: str | None = None
    encoding: str = UTF_8
    escaped_quotes: bool = False
    recognises: bool = False
    flags: str = ""

    def text_options(self) -> dict[str, object]:
        """Return the given options that only text files have, by flag."""
        found = {
            "header": ",".join(self.header) or None,
            "separator": self.separator,
            "encoding": None if self.encoding == UTF_8 else self.encoding,
        }
        named = {f"{self.flags}{name}": value for name, value in found.items() if value is not None}
        return named | ({"--escaped-quotes": True} if self.escaped_quotes else {})


STRICT = Layout()
"""A file with this project's names of columns, in UTF-8."""


def columns_of(text: str) -> dict[str, str]:
    """Read NAME=COLUMN,...; a part with a comma has quotes around it: '"weight=a, b"'."""
    found: dict[str, str] = {}
    for part in _parts(text):
        name, equals, column = part.partition("=")
        if not equals or not name.strip():
            raise ArgumentTypeError(f"{part!r} should be NAME=COLUMN, such as user_id=userId")
        if name.strip() in found:
            raise ArgumentTypeError(f"{name.strip()!r} is given twice")
        found[name.strip()] = column
    return found


def header_of(text: str) -> list[str]:
    """Read NAME,NAME,...; a name with a comma has quotes around it."""
    return [name.strip() for name in _parts(text)]


def separator_of(text: str) -> str:
    r"""Read a separator; a tab may be written as "\t" or "tab"."""
    return _SPELLED.get(text, text)


def shown_separator(separator: str) -> str:
    r"""Write a separator as `separator_of` reads it: a tab as "\t"."""
    return "\\t" if separator == "\t" else separator


def written(parts: Sequence[str]) -> str:
    """Write texts with commas between, as `columns_of` and `header_of` read them."""
    quoted = ('"' + part.replace('"', '""') + '"' if set(part) & {",", '"'} else part for part in parts)
    return ",".join(quoted)


def check_columns(flag: str, columns: Mapping[str, str], known: Sequence[str], required: int) -> None:
    """Raise OptionError for columns under a name that no reader knows, or without a required one."""
    for name, column in columns.items():
        if name not in known:
            raise OptionError(flag, f"{name}={column}", f"for a name among {', '.join(known)}")
        if not column and name in known[:required]:
            raise OptionError(flag, f"{name}=", "given a column, since this one is required")


def check_header(flag: str, header: Sequence[str]) -> None:
    """Raise OptionError for a header with a name twice, or REST before its end."""
    names = [name for name in header if name]
    if (header and not names) or REST in header[:-1] or names == [REST]:
        raise OptionError(flag, written(header), f"names of columns; {REST} may be the last")
    if len(set(names)) < len(names):
        raise OptionError(flag, written(header), "names that are given once each")


def check_separator(flag: str, separator: str) -> None:
    """Raise OptionError for a text that can't separate columns."""
    if (
        not 0 < len(separator) <= _LONGEST
        or set(separator) & set(_NEVER)
        or any(own.isalnum() for own in separator)
    ):
        expected = f"1 to {_LONGEST} characters without letters, digits, quotes and line breaks"
        raise OptionError(flag, separator, expected)


def check_encoding(flag: str, encoding: str) -> None:
    """Raise OptionError for an encoding of text that Python doesn't know."""
    try:
        # Codecs such as base64 encode no text.
        "a,\n".encode(encoding).decode(encoding)
        codecs.getincrementaldecoder(encoding)
        if codecs.lookup(encoding).name not in _OF_PROGRAMS:
            return
    except (LookupError, ValueError, TypeError):
        pass
    raise OptionError(flag, encoding, "an encoding of text, such as utf-8, latin-1, cp1252 or utf-16")


def _parts(text: str) -> list[str]:
    try:
        return next(csv.reader([text]), [])
    except csv.Error as error:
        raise ArgumentTypeError(f"{text!r} can't be split at its commas: {error}") from error
