"""Attributes of items: what users filter by and what comes with results. No training sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from publication.attributes import MAX_VALUE_BYTES, Column, NumberColumn, TextColumn
from publication.id_map import IdMap
from publication.manifest import RESERVED_ATTRIBUTE, AttributeKind
from trainer import tables
from trainer.errors import InputError, OptionError

OPTION = "--item-attributes"


@dataclass(frozen=True)
class Wanted:
    """A column to publish; `kind` is None where its content decides."""

    name: str
    kind: AttributeKind | None


def parse(names: Sequence[str]) -> list[Wanted]:
    """Columns, each "NAME", "NAME:text" or "NAME:number".

    Raises:
        OptionError: a name is empty, there twice, or that of the titles.
    """
    wanted: list[Wanted] = []
    for given in names:
        own = Wanted(given, None)
        for kind in get_args(AttributeKind):
            if given.endswith(f":{kind}"):
                own = Wanted(given.removesuffix(f":{kind}"), kind)
                break
        if not own.name:
            raise OptionError(OPTION, given, "the name of a column, or NAME:text or NAME:number")
        if own.name == RESERVED_ATTRIBUTE:
            raise OptionError(OPTION, given, "another column: titles are published anyway")
        if own.name in {other.name for other in wanted}:
            raise OptionError(OPTION, given, "there once")
        wanted.append(own)
    return wanted


def read(path: Path, table: pa.Table, wanted: Sequence[Wanted], *, separator: str) -> list[Column]:
    """The columns of a table that was read from `path`, in its rows' order.

    A numeric column is a number attribute, and so is a text column of which every value that isn't
    empty is a finite number; any other is text. A list column of Parquet is multi-valued as it is, a
    text column by the separator.

    Raises:
        InputError: names the file, the row and the column of a value that is too long or no number.
    """
    return [_read(path, table, own, separator) for own in wanted]


def by_row(columns: Sequence[Column], ids: Sequence[str], id_map: IdMap) -> list[Column]:
    """The columns in the order of an id map; an item that isn't among `ids` has no values."""
    rows = np.array([-1 if (row := id_map.row(own)) is None else row for own in ids], dtype=np.int64)
    ordered: list[Column] = []
    for column in columns:
        if isinstance(column, TextColumn):
            texts: list[Sequence[str]] = [()] * len(id_map)
            for row, values in zip(rows.tolist(), column.values, strict=True):
                if row >= 0:
                    texts[row] = values
            ordered.append(TextColumn(column.name, texts))
        else:
            numbers = np.full(len(id_map), np.nan)
            numbers[rows[rows >= 0]] = column.values[rows >= 0]
            ordered.append(NumberColumn(column.name, numbers))
    return ordered


def _read(path: Path, table: pa.Table, wanted: Wanted, separator: str) -> Column:
    name = wanted.name
    kind = wanted.kind or ("number" if _is_numeric(table.column(name)) else "text")
    if kind == "number":
        return NumberColumn(name, tables.numbers_or_gaps(path, table, name))
    values = list(tables.multi_valued(path, table, name, separator))
    for row, own in enumerate(values, start=1):
        for value in own:
            if (size := len(value.encode())) > MAX_VALUE_BYTES:
                reason = f"{name} has a value of {size} bytes of UTF-8, at most {MAX_VALUE_BYTES}"
                raise InputError(path, f"{reason}: {value[:40]!r}...", row=row)
    return TextColumn(name, values)


def _is_numeric(values: pa.ChunkedArray) -> bool:
    values = tables.decoded(values)
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return True
    if not tables.is_text(kind):
        return False
    try:
        numbers = pc.cast(tables.trimmed(values), pa.float64())
    except pa.ArrowInvalid:
        return False
    # Of nothing at all nobody can tell.
    finite = pc.is_finite(numbers)
    return numbers.null_count < len(numbers) and bool(pc.all(finite).as_py())
