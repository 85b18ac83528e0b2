"""Find out how a text file is written: encoding, separator, quotes and header."""

from __future__ import annotations

import codecs
import contextlib
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from trainer.data.files import csv_rows, file_kinds, known_names, layout
from trainer.data.files.layout import Layout
from trainer.data.files.text_file import SNIFFED_BYTES, TextFile

_SEPARATORS = ("::", "\t", ",", ";", "|", " ")
_SAMPLE_BYTES = 8 << 20
_SAMPLE_ROWS = 50_000
_COMPARED_ROWS = 2000
_BLOCK = 1 << 20
# A few rows may be wrong.
_MOST = 0.9
_KNOWN = ("user_id", "item_id", "weight", "timestamp", "event", "title")


@dataclass(frozen=True)
class Sniffed:
    """How a text file is written, and its first rows.

    Attributes:
        layout: without a header, and with all that the file needs.
        separator: of the columns, also if the layout doesn't have to name it.
        has_header: whether the first row holds names.
        rows: the first rows, with the header, as wide as most of them.
    """

    layout: Layout
    separator: str
    has_header: bool
    rows: list[list[str]]


def sniff(path: Path, given: Layout) -> Sniffed:
    """Look at a text file.

    Args:
        path: the file.
        given: what is known already. Its encoding and separator are taken as they are.

    Raises:
        OSError, pa.ArrowException: the file can't be read.
    """
    content = _Content(path)
    if given.encoding == layout.UTF_8:
        given = replace(given, encoding=content.encoding())
    text = content.text(given.encoding)
    if given.separator is None:
        found = _separator(text, may_escape=content.has_escapes())
        if found is not None and found != TextFile(path, given).separator:
            given = replace(given, separator=found)
    file = TextFile(path, given)
    if content.has_escapes() and file.has_quotes and not given.escaped_quotes:
        given = replace(given, escaped_quotes=_are_escapes(path, given))
    rows = _rows(text, file.separator, escaped=given.escaped_quotes)
    width = _width(rows)[0]
    has_header = bool(rows) and not given.header and _is_header(rows[0], rows[1:])
    return Sniffed(given, file.separator, has_header, [own for own in rows if len(own) == width])


class _Content:
    """The bytes of a file: a sample of its start, and findings of one pass over all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = TextFile(path).start(_SAMPLE_BYTES)
        self._is_whole = len(self._start) < _SAMPLE_BYTES

    def encoding(self) -> str:
        """Return UTF-8, UTF-16 or UTF-32, or else the likely one of a byte a character."""
        if (wide := file_kinds.wide_encoding(self._start[:SNIFFED_BYTES])) is not None:
            return wide
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for block in self._blocks():
                decoder.decode(block)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            # Below 0xA0, Latin-1 has control characters, and Windows-1252 has letters and quotes.
            controls = bytes(range(0x80, 0xA0))
            is_latin = all(len(own.translate(None, controls)) == len(own) for own in self._blocks())
            return "latin-1" if is_latin else "cp1252"
        return layout.UTF_8

    def has_escapes(self) -> bool:
        """Whether a quote follows a backslash anywhere."""
        return any(b'\\"' in block for block in self._blocks())

    def text(self, encoding: str) -> str:
        """Return the first lines."""
        text = codecs.getincrementaldecoder(encoding)("replace").decode(self._start)
        return text if self._is_whole else text[: text.rfind("\n") + 1]

    def _blocks(self) -> Iterator[bytes]:
        if self._is_whole:
            yield self._start
            return
        with TextFile(self._path).opened() as stream:
            while block := stream.read(_BLOCK):
                yield block


def _separator(text: str, *, may_escape: bool) -> str | None:
    """Return the separator by which most rows have the same number of values; None without any."""
    best: tuple[float, int, str] = (0.0, 0, "")
    for separator in _SEPARATORS:
        width, share = max(
            (
                _width(_rows(text, separator, escaped=escaped, most=_COMPARED_ROWS))
                for escaped in {False, may_escape}
            ),
            key=lambda own: own[::-1],
        )
        if width < 2 or share < (1.0 if separator == " " else _MOST):
            continue
        # A text with spaces has other separators, too.
        if (share, width) > best[:2] and not (separator == " " and best[2]):
            best = (share, width, separator)
    return best[2] or None


def _rows(text: str, separator: str, *, escaped: bool, most: int = _SAMPLE_ROWS) -> list[list[str]]:
    """Return the first rows that aren't blank."""
    lines = text.splitlines(keepends=True)
    rows: Iterator[list[str]]
    if len(separator.encode()) > 1:
        rows = (line.rstrip("\r\n").split(separator) for line in lines)
    else:
        escape = "\\" if escaped else None
        rows = csv.reader(lines, delimiter=separator, escapechar=escape)
    found: list[list[str]] = []
    # Reading the file says what is wrong.
    with contextlib.suppress(csv.Error):
        found += islice((row for row in rows if any(row)), most)
    if found and found[0]:
        found[0][0] = found[0][0].removeprefix("\ufeff")
    return found


def _width(rows: Sequence[Sequence[str]]) -> tuple[int, float]:
    """Return the most frequent number of values in a row, and the share of such rows."""
    counts = Counter(map(len, rows))
    [(width, count)] = counts.most_common(1) or [(0, 0)]
    return width, count / max(1, len(rows))


def _are_escapes(path: Path, given: Layout) -> bool:
    """Whether more rows are right if backslashes escape quotes."""
    wrong = [
        csv_rows.count_wrong(TextFile(path, replace(given, header=(), escaped_quotes=escaped)))
        for escaped in (True, False)
    ]
    return wrong[0] < wrong[1]


def _is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether the first row holds names of columns."""
    names = [own.strip() for own in first]
    if any(known_names.recognised(name, names, in_table=True) for name in _KNOWN):
        return True
    if any(_kind(name) != "text" or not name for name in names):
        return False
    columns = [[row[place] for row in others if place < len(row)] for place in range(len(names))]
    if any(column and all(_kind(own) == "number" for own in column[:1000]) for column in columns):
        return True
    # In a column of text, a value comes again, and a name doesn't.
    return not any(name in column for name, column in zip(names, columns, strict=True))


def _kind(text: str) -> Literal["number", "text"]:
    try:
        float(text)
    except ValueError:
        return "text"
    return "number"
