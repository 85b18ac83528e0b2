"""Warn of suspicious values in a text column, with a count and an example."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.files import column_types, tables
from trainer.data.files.column_names import SEPARATORS

_LIST = r"""^\[.*['",].*\]$|^\{.*['",:].*\}$|^\(.*['",].*\)$|^\[\s*([-+.0-9]*\s*)*\]$"""
_WHOLE = r"^-?[0-9]+\.0$"
_DECIMAL_COMMA = r"^[-+]?[0-9]+,[0-9]+$"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_SHOWN_CHARACTERS = 60
# This share of the values must hold a separator. A comma in some titles isn't one.
_MANY = 0.1


class Texts:
    """A column of text, for sentences about some of its values.

    Attributes:
        where: the column and the file, as sentences name them.
        values: large_string, trimmed; null for an empty value.
        count: the number of values that aren't null.
    """

    def __init__(self, path: Path, column: str, values: pa.ChunkedArray) -> None:
        self.where = f"column {column} of {path.name}"
        self.values = tables.trimmed(values)
        self.count = len(self.values) - self.values.null_count

    def matching(self, pattern: str) -> pa.ChunkedArray:
        """Return a mask of the values that match a regular expression; null for an empty value."""
        return pc.match_substring_regex(self.values, pattern)

    def example(self, mask: pa.ChunkedArray) -> str:
        """Show the first value for which the mask is true, and its row."""
        row = tables.first(mask)
        return f"{_shown(self.values[row - 1].as_py())} in row {row}"

    def told(self, mask: pa.ChunkedArray, what: str, then: str) -> Iterator[str]:
        """Yield a sentence if the mask is true for any value: their number, `what`, and an example."""
        if found := count_true(mask):
            of = f"{found} of {self.count} values of {self.where}"
            yield f"{of} {what}, such as {self.example(mask)}{then}"


def count_true(mask: pa.ChunkedArray) -> int:
    """Count the true values."""
    return int(pc.sum(mask).as_py() or 0)


def warnings_of(path: Path, table: pa.Table, column: str, separator: str) -> list[str]:
    """Warn of suspicious values in a feature column or a text attribute; [] if it isn't text.

    Args:
        path: the file that the sentences name.
        table, column: the table, and the name of the column.
        separator: the separator of several values in a row.
    """
    values = column_types.decoded(table.column(column))
    if not column_types.is_text(values.type):
        return []
    texts = Texts(path, column, values)
    if not texts.count:
        return [f"{texts.where} has no value in any row"]
    not_lists = (
        f", but aren't read as lists: put {separator!r} between the values, or write lists in Parquet"
    )
    are_markers = column_types.is_marker(texts.values, among_texts=True)
    marks = "look like markers of a missing value"
    return [
        *texts.told(texts.matching(_LIST), "look like lists written as text", not_lists),
        *_separators(texts, separator),
        *_whole_numbers(texts),
        *texts.told(are_markers, marks, ", but count as values: leave them empty"),
        *_cases(texts, separator),
    ]


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")


def _separators(texts: Texts, separator: str) -> Iterator[str]:
    if count_true(pc.match_substring(texts.values, separator)):
        return
    # Lists have a warning of their own.
    are_lists = texts.matching(_LIST)
    for other in (own for own in SEPARATORS if own.strip(" ") and own != separator):
        holds = pc.and_not(pc.match_substring(texts.values, other), are_lists)
        found = count_true(holds)
        if found and found >= _MANY * texts.count:
            hint = f"--feature-separator {other!r}?"
            if other == "," and count_true(texts.matching(_DECIMAL_COMMA)) == found:
                hint = f"decimal commas? Write 1.5 instead of 1,5. Or {hint}"
            yield (
                f"no value of {texts.where} holds {separator!r}, but {found} of {texts.count} hold "
                f"{other!r}, such as {texts.example(holds)}: {hint}"
            )
            return


def _whole_numbers(texts: Texts) -> Iterator[str]:
    are_whole = texts.matching(_WHOLE)
    if count_true(are_whole) == texts.count:
        yield (
            f"all {texts.count} values of {texts.where} are integers written as floats, such as "
            f"{texts.example(are_whole)}, and are used as written: dataframes write integers as floats "
            "if one is missing; convert the column (pandas: astype('Int64'))"
        )


def _cases(texts: Texts, separator: str) -> Iterator[str]:
    """Warn of values that differ only in case or form; skip columns with nearly one value per row."""
    distinct = pc.unique(texts.values).drop_null().to_pylist()
    if len(distinct) > max(1000, texts.count // 2):
        return
    parts = {part.strip() for own in distinct for part in own.split(separator)}
    by_case: dict[str, list[str]] = {}
    for part in sorted(parts):
        by_case.setdefault(_plain(part), []).append(part)
    if alike := [own for own in by_case.values() if len(own) > 1]:
        yield (
            f"{len(alike)} values of {texts.where} differ only in case, space or Unicode form, such as "
            f"{' and '.join(map(_shown, alike[0]))}: they count as different values"
        )


def _plain(text: str) -> str:
    """Return a text without differences in case, space, Unicode form and invisible characters."""
    shown = "".join(own for own in unicodedata.normalize("NFKC", text) if own not in _INVISIBLE)
    return " ".join(shown.split()).casefold()
