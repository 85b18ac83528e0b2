"""Read features, titles and attributes from a file with one row for each item or user."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from lightfm_retriever.publication.attributes import Column, NumberColumn, TextColumn
from lightfm_retriever.publication.storage.id_map import AnyIds
from trainer.data import id_forms, item_attributes, odd_values, skipping
from trainer.data.files import source as sources
from trainer.data.files import tables
from trainer.data.item_attributes import WantedColumn
from trainer.data.skipping import Reading
from trainer.errors import InputError, OptionError

Kind = Literal["item", "user"]
# If fewer ids match (as a share of the shorter list of ids), the ids seem to have another form.
_FEW = 0.1
_WHERE = "in the interactions"


@dataclass(frozen=True)
class FeatureTable:
    """The features, titles and attributes of items or users.

    Attributes:
        name: the name of the file.
        ids: distinct external ids.
        features: for each id its features, named "column:value", distinct and sorted.
        columns: the columns that the features come from.
        titles: for each id its title ("" for none), or None when there are no titles.
        attributes: of items, in the order of the ids.
        warnings: what looks wrong, one sentence each.
    """

    name: str = ""
    ids: list[str] = field(default_factory=list)
    features: list[list[str]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    titles: list[str] | None = None
    attributes: list[Column] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def by_row(self, ids: AnyIds) -> tuple[list[str] | None, list[Column]]:
        """Return titles and attributes in the order of an id map; unknown ids have none."""
        rows = ids.rows(self.ids)
        known = rows >= 0

        def placed(values: Sequence[Any], nothing: Any) -> list[Any]:
            ordered = [nothing] * len(ids)
            for row, value in zip(rows.tolist(), values, strict=True):
                if row >= 0:
                    ordered[row] = value
            return ordered

        attributes: list[Column] = []
        for column in self.attributes:
            if isinstance(column, TextColumn):
                attributes.append(TextColumn(column.name, placed(column.values, ())))
            else:
                numbers = np.full(len(ids), np.nan)
                numbers[rows[known]] = column.values[known]
                attributes.append(NumberColumn(column.name, numbers))
        return None if self.titles is None else placed(self.titles, ""), attributes


def read_features(
    path: Path,
    kind: Kind,
    *,
    columns: Collection[str],
    separator: str = "|",
    attributes: Sequence[WantedColumn] = (),
    reading: Reading | None = None,
) -> FeatureTable:
    """Read the column item_id (or user_id), the chosen columns and, for items, an optional title.

    Args:
        path: CSV, JSON Lines or Parquet. A list column of Parquet is multi-valued.
        kind: "item" or "user".
        columns, attributes: the feature columns and the published columns; one may be both.
        separator: what separates the values of a multi-valued text column.
        reading: how the file is written; None for this project's names.

    Raises:
        InputError: names the file and the column or row.
        OptionError: an option of `reading` is wrong for this file.
    """
    reading = reading or Reading()
    source = sources.read(
        path,
        required=(f"{kind}_id",),
        optional=("title",) if kind == "item" else (),
        layout=reading.layout,
        as_named=[*dict.fromkeys([*columns, *(own.name for own in attributes)])],
        skips=reading.skips,
    )
    warnings = source.notes
    if reading.skips:
        source, skipped = skipping.skip_in_table(source, f"{kind}_id")
        if len(skipped):
            warnings = [*warnings, skipped.told(path.name, reading.skipped_file)]
    with source.named():
        read = from_table(
            path, source.table, kind, columns=columns, separator=separator, attributes=attributes
        )
    return replace(read, warnings=[*warnings, *read.warnings])


def from_table(
    path: Path,
    table: pa.Table,
    kind: Kind,
    *,
    columns: Collection[str],
    separator: str,
    attributes: Sequence[WantedColumn] = (),
) -> FeatureTable:
    """Return the features of a table that was read from `path`; raises as `read_features`."""
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
    warnings: list[str] = []
    for column in columns:
        warnings += odd_values.warnings_of(path, table, column, separator)
        rows = tables.multi_valued(path, table, column, separator)
        for own, values in zip(features, rows, strict=True):
            own.update(f"{column}:{value}" for value in values)
    has_titles = kind == "item" and "title" in table.column_names
    published, odd = item_attributes.read(path, table, attributes, separator=separator)
    return FeatureTable(
        name=path.name,
        ids=distinct,
        features=[sorted(own) for own in features],
        columns=list(columns),
        titles=tables.texts(path, table, "title") if has_titles else None,
        attributes=published,
        # A column may be a feature and an attribute.
        warnings=list(dict.fromkeys([*warnings, *odd])),
    )


def match_warnings(
    kind: str, table: FeatureTable, present: AbstractSet[str], others: Iterable[str]
) -> list[str]:
    """Warn if the interactions have few ids of a table, with an example of both forms.

    Args:
        kind: "item" or "user".
        table: of features, titles or attributes.
        present: the ids of the interactions.
        others: the ids of the other kind; the two columns may be swapped.

    Raises:
        InputError: the interactions have none of the ids.
    """
    strangers = [own for own in table.ids if own not in present]
    matched = len(table.ids) - len(strangers)
    if not table.ids or matched >= max(1.0, _FEW * min(len(table.ids), len(present))):
        return []
    forms, _ = id_forms.explain(strangers, sorted(present), present, where=("here", _WHERE))
    if matched:
        found = f"only {matched:,} of {len(table.ids):,} {kind}s of {table.name}"
        return [f"{found} are {_WHERE}: {forms}"]
    reason = f"none of its {len(table.ids):,} {kind}s is {_WHERE}: {forms}"
    swapped = set(others).intersection(table.ids)
    if len(swapped) > len(table.ids) // 2:
        other = "user" if kind == "item" else "item"
        reason += f"; {len(swapped):,} are {other}s: are the columns user_id and item_id swapped?"
    raise InputError(Path(table.name), reason)


def what_it_has(table: FeatureTable) -> str:
    """Name the contents of a table, to follow the word "no"."""
    parts = (("features", table.columns), ("titles", table.titles), ("attributes", table.attributes))
    return " and no ".join(name for name, has in parts if has) or "features"
