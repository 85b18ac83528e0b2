"""What looks wrong with the values of a text column, in sentences with a count and an example.

A check yields a sentence where it finds something.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.files import column_types, tables
from trainer.data.files.column_names import SEPARATORS

NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
"""A number as Arrow reads it, but for those that aren't finite."""

_LIST = r"""^\[.*['",].*\]$|^\{.*['",:].*\}$|^\(.*['",].*\)$|^\[\s*([-+.0-9]*\s*)*\]$"""
_WHOLE = r"^-?[0-9]+\.0$"
_DECIMAL_COMMA = r"^[-+]?[0-9]+,[0-9]+$"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_SHOWN_CHARACTERS = 60
# Of the values. A comma in some titles makes it no separator.
_MANY = 0.1


def warnings_of(path: Path, table: pa.Table, column: str, separator: str) -> list[str]:
    """What is odd about a column of features or of a text attribute; nothing of one that isn't text.

    Args:
        path: what the sentences name.
        table, column: where the values are.
        separator: what separates several values of a row.
    """
    values = column_types.decoded(table.column(column))
    where = f"column {column} of {path.name}"
    if not column_types.is_text(values.type):
        return []
    texts = tables.trimmed(values)
    count = len(texts) - texts.null_count
    if not count:
        return [f"{where} has no value in any row"]
    checks = (_lists, _separators, _whole_numbers, _markers, _cases)
    return [sentence for check in checks for sentence in check(where, texts, count, separator)]


def shown(text: str) -> str:
    """A value as sentences show it."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")


def example(texts: pa.ChunkedArray, mask: pa.ChunkedArray) -> str:
    """The first text that the mask is true for, and its row."""
    row = tables.first(mask)
    return f"{shown(texts[row - 1].as_py())} in row {row}"


def count_true(mask: pa.ChunkedArray) -> int:
    """How many are true."""
    return int(pc.sum(mask).as_py() or 0)


def _lists(where: str, texts: pa.ChunkedArray, count: int, separator: str) -> Iterator[str]:
    are_lists = pc.match_substring_regex(texts, _LIST)
    if found := count_true(are_lists):
        yield (
            f"{found} of {count} values of {where} look like lists written as text, as "
            f"{example(texts, are_lists)}, but aren't read as lists: put {separator!r} between the "
            "values, or write lists in Parquet"
        )


def _separators(where: str, texts: pa.ChunkedArray, count: int, separator: str) -> Iterator[str]:
    if count_true(pc.match_substring(texts, separator)):
        return
    for other in (own for own in SEPARATORS if own.strip(" ") and own != separator):
        # Lists have been told of.
        holds = pc.and_(
            pc.match_substring(texts, other), pc.invert(pc.match_substring_regex(texts, _LIST))
        )
        found = count_true(holds)
        if found and found >= _MANY * count:
            hint = f"--feature-separator {other!r}?"
            if other == "," and count_true(pc.match_substring_regex(texts, _DECIMAL_COMMA)) == found:
                hint = f"decimal commas? Write 1.5 for 1,5. Or {hint}"
            yield (
                f"no value of {where} holds {separator!r}, but {found} of {count} hold {other!r}, as "
                f"{example(texts, holds)}: {hint}"
            )
            return


def _whole_numbers(where: str, texts: pa.ChunkedArray, count: int, _separator: str) -> Iterator[str]:
    are_whole = pc.match_substring_regex(texts, _WHOLE)
    if count_true(are_whole) == count:
        yield (
            f"all {count} values of {where} are integers written as floats, as "
            f"{example(texts, are_whole)}, and are used as they are written: dataframes write integers "
            "so when one is missing; convert the column (pandas: astype('Int64'))"
        )


def _cases(where: str, texts: pa.ChunkedArray, count: int, separator: str) -> Iterator[str]:
    """Values that differ in case only; a column of nearly as many values as rows is no category."""
    distinct = [own for own in pc.unique(texts).to_pylist() if own is not None]
    if len(distinct) > max(1000, count // 2):
        return
    parts = {part.strip() for own in distinct for part in own.split(separator)}
    by_case: dict[str, list[str]] = {}
    for part in sorted(parts):
        by_case.setdefault(_plain(part), []).append(part)
    if alike := [own for own in by_case.values() if len(own) > 1]:
        yield (
            f"{len(alike)} values of {where} differ in case, space or Unicode form only, as "
            f"{' and '.join(map(shown, alike[0]))}: they are different values"
        )


def _plain(text: str) -> str:
    """A text as it looks, whatever its case."""
    shown = "".join(own for own in unicodedata.normalize("NFKC", text) if own not in _INVISIBLE)
    return " ".join(shown.split()).casefold()


def _markers(where: str, texts: pa.ChunkedArray, count: int, _separator: str) -> Iterator[str]:
    are_markers = column_types.is_marker(texts, among_texts=True)
    if found := count_true(are_markers):
        yield (
            f"{found} of {count} values of {where} look like marks of a missing value, as "
            f"{example(texts, are_markers)}, but are used as values: leave them empty"
        )
