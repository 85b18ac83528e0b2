"""Features and titles of items or users, read from a file of one row each."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from trainer import tables
from trainer.errors import InputError, OptionError

Kind = Literal["item", "user"]


@dataclass(frozen=True)
class FeatureTable:
    """What is known of items or users beside their interactions.

    Attributes:
        name: where it comes from.
        ids: distinct external ids.
        features: for each id its features, named "column:value", distinct and sorted.
        columns: the columns that the features come from.
        titles: for each id its title ("" for none), or None when there are no titles.
    """

    name: str = ""
    ids: list[str] = field(default_factory=list)
    features: list[list[str]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    titles: list[str] | None = None


def read_features(
    path: Path, kind: Kind, *, columns: Collection[str], separator: str = "|"
) -> FeatureTable:
    """Read item_id (or user_id), title where there is one, and the chosen feature columns.

    Args:
        path: CSV or Parquet. A list column of Parquet is multi-valued as it is.
        kind: "item" or "user".
        columns: the feature columns to use; a title can be one of them.
        separator: what separates the values of a multi-valued text column.

    Raises:
        InputError: names the file and the column or row.
    """
    key = f"{kind}_id"
    titles = ["title"] if kind == "item" else []
    table = tables.read_table(path, required=[key, *columns], optional=titles)
    return from_table(path, table, kind, columns=columns, separator=separator)


def from_table(
    path: Path, table: pa.Table, kind: Kind, *, columns: Collection[str], separator: str
) -> FeatureTable:
    """Features of a table that was read from `path`; raises as `read_features`."""
    if not separator:
        raise OptionError("--feature-separator", separator, "at least one character")
    key = f"{kind}_id"
    distinct, codes = tables.ids(path, table, key)
    if len(distinct) < len(codes):
        first: dict[int, int] = {}
        for row, code in enumerate(codes.tolist(), start=1):
            if code in first:
                reason = f"{key} {distinct[code]!r} is also in row {first[code]}"
                raise InputError(path, reason, row=row)
            first[code] = row
    features: list[set[str]] = [set() for _ in distinct]
    for column in columns:
        for own, values in zip(features, _values(path, table, column, separator), strict=True):
            own.update(f"{column}:{value}" for value in values)
    has_titles = kind == "item" and "title" in table.column_names
    return FeatureTable(
        name=path.name,
        ids=distinct,
        features=[sorted(own) for own in features],
        columns=list(columns),
        titles=tables.texts(path, table, "title") if has_titles else None,
    )


def _values(path: Path, table: pa.Table, column: str, separator: str) -> Iterable[list[str]]:
    """The values of each row, without empty ones."""
    values = table.column(column)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        for row in values.to_pylist():
            yield [str(value) for value in row or () if not _is_missing(value)]
    elif pa.types.is_floating(values.type) or pa.types.is_boolean(values.type):
        for value in values.to_pylist():
            yield [] if _is_missing(value) else [str(value)]
    else:
        for text in tables.texts(path, table, column):
            yield [value for part in text.split(separator) if (value := part.strip())]


def _is_missing(value: object) -> bool:
    """NaN is how dataframes write a number that isn't there."""
    return value in (None, "") or (isinstance(value, float) and math.isnan(value))
