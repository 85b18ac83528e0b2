"""Read item attributes: callers filter by them and get them with results. Training ignores them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from lightfm_retriever.publication.attributes import MAX_VALUE_BYTES, Column, NumberColumn, TextColumn
from lightfm_retriever.publication.manifest import RESERVED_ATTRIBUTE, AttributeKind
from trainer.data.files import column_types, tables
from trainer.data.files.column_types import NUMBER
from trainer.data.odd_values import Texts, count_true, warnings_of
from trainer.errors import InputError, OptionError

OPTION = "--item-attributes"
_MOSTLY = 0.5
_NOTHING = pa.scalar(None, pa.large_string())


@dataclass(frozen=True)
class WantedColumn:
    """A column to publish; if `kind` is None, the values decide."""

    name: str
    kind: AttributeKind | None


def parse(names: Sequence[str]) -> list[WantedColumn]:
    """Parse columns of the form "NAME", "NAME:text" or "NAME:number".

    Raises:
        OptionError: a name is empty, repeated, or reserved for titles.
    """
    wanted: list[WantedColumn] = []
    for given in names:
        kind = next((own for own in get_args(AttributeKind) if given.endswith(f":{own}")), None)
        own = WantedColumn(given.removesuffix(f":{kind}") if kind else given, kind)
        if not own.name:
            raise OptionError(OPTION, given, "the name of a column, or NAME:text or NAME:number")
        if own.name == RESERVED_ATTRIBUTE:
            raise OptionError(OPTION, given, "another column: titles are published anyway")
        if own.name in {other.name for other in wanted}:
            raise OptionError(OPTION, given, "given once")
        wanted.append(own)
    return wanted


def read(
    path: Path,
    table: pa.Table,
    wanted: Sequence[WantedColumn],
    *,
    separator: str,
) -> tuple[list[Column], list[str]]:
    """Read the wanted columns of a table that was read from `path`; also return warnings.

    A numeric column becomes a number attribute, and so does a text column whose non-empty values are
    all finite numbers. Any other column becomes text. Among numbers, a marker of a missing value such
    as "N/A" (column_types.MARKERS) is no value. A list column of Parquet is multi-valued; a text column
    is split at the separator.

    Raises:
        InputError: a value is too long or isn't a number; names the file, the row and the column.
    """
    warnings: list[str] = []
    return [_read(path, table, own, separator, warnings) for own in wanted], warnings


def _read(
    path: Path, table: pa.Table, wanted: WantedColumn, separator: str, warnings: list[str]
) -> Column:
    name = wanted.name
    values = column_types.decoded(table.column(name))
    if column_types.is_text(values.type):
        numbers = _Numbers(path, name, values)
        codes = numbers.code_warnings() if wanted.kind is None and numbers.are_all() else []
        if wanted.kind == "number" or (wanted.kind is None and numbers.are_all() and not codes):
            warnings += numbers.told(
                numbers.markers, "mark a missing number", ": these items have none"
            )
            gaps = pa.table({name: pc.if_else(numbers.markers, _NOTHING, numbers.values)})
            return NumberColumn(name, tables.numbers_or_gaps(path, gaps, name))
        if wanted.kind is None:
            warnings += codes or numbers.kind_warnings(separator)
    elif wanted.kind == "number" or (wanted.kind is None and column_types.is_number(values.type)):
        return NumberColumn(name, tables.numbers_or_gaps(path, table, name))
    warnings += warnings_of(path, table, name, separator)
    return TextColumn(name, _texts(path, table, name, separator))


def _texts(path: Path, table: pa.Table, name: str, separator: str) -> list[list[str]]:
    values = list(tables.multi_valued(path, table, name, separator))
    for row, own in enumerate(values, start=1):
        for value in own:
            if (size := len(value.encode())) > MAX_VALUE_BYTES:
                reason = f"{name} has a value of {size} bytes of UTF-8; at most {MAX_VALUE_BYTES} fit"
                raise InputError(path, f"{reason}: {value[:40]!r}...", row=row)
    return values


# A code begins with zeros, or has more digits than a float keeps.
_CODE = r"^[-+]?0[0-9]|^[-+]?[0-9]{16,}$"


class _Numbers(Texts):
    """A column of text, and which of its values are finite numbers."""

    def __init__(self, path: Path, name: str, values: pa.ChunkedArray) -> None:
        super().__init__(path, name, values)
        self._name = name
        self.markers = column_types.is_marker(self.values)
        # Match the form first, since Arrow converts a whole column or nothing.
        written_so = pc.if_else(pc.fill_null(self.matching(NUMBER), False), self.values, _NOTHING)
        self._are = pc.fill_null(pc.is_finite(written_so.cast(pa.float64())), False)
        self._numbers = count_true(self._are)

    def are_all(self) -> bool:
        """Whether all values are numbers or markers of a missing one, and at least one is a number."""
        return self._numbers > 0 and self._numbers + count_true(self.markers) == self.count

    def code_warnings(self) -> list[str]:
        """Warn of codes, such as article numbers, that a number attribute would change."""
        remedy = f": the attribute is text; {self._name}:number makes it a number"
        what = "are numbers written as codes"
        return [*self.told(self.matching(_CODE), what, remedy)]

    def kind_warnings(self, separator: str) -> Iterator[str]:
        """Warn of a column that becomes text although most of its values are numbers."""
        # If rows have several values, numbers may be codes.
        several = count_true(pc.match_substring(self.values, separator))
        if several or not self._numbers or self._numbers < self.count * _MOSTLY:
            return
        others = pc.and_(pc.invert(pc.or_(self._are, self.markers)), pc.is_valid(self.values))
        yield (
            f"{self.where} is published as text, although {self._numbers} of its {self.count} values "
            f"are numbers: {count_true(others)} aren't, such as {self.example(others)}. Fix or empty "
            f"those, or give {OPTION} {self._name}:number, which refuses them, or {self._name}:text"
        )
