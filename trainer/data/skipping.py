"""Leave out invalid rows, count them by reason, and write them to a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import create_regular
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from trainer.data.bounds import MAX_WEIGHT
from trainer.data.files import column_types, tables
from trainer.data.files.column_types import NUMBER
from trainer.data.files.layout import STRICT, Layout
from trainer.data.files.source import FileColumns
from trainer.data.times import timestamps
from trainer.data.times.date_formats import DateFormat
from trainer.errors import InputError, OptionError
from trainer.notes import note_if_few

_TEXT = pa.large_string()
_SHOWN_COLUMNS = ("user_id", "item_id", "weight", "timestamp", "event", "title")
_UNEVEN = "the row has more or fewer values than the header"
_UNREADABLE = "a value holds a byte that isn't in the encoding"


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        layout: how the file is written.
        form: the form of timestamps; None for the usual one.
        skips: whether invalid rows are left out.
        skipped_file: the file for such rows; None to write none.
    """

    layout: Layout = STRICT
    form: DateFormat | None = None
    skips: bool = False
    skipped_file: Path | None = None


@dataclass(frozen=True)
class Skipped:
    """The rows that were left out.

    Attributes:
        rows: (n,) int64, their numbers in the file, counted from 1, ascending.
        reasons: the reason of each.
        texts: each row's text, or the values that are read of it.
        total: how many rows the file has.
    """

    rows: NDArray[np.int64]
    reasons: list[str]
    texts: list[str]
    total: int

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self) -> dict[str, int]:
        """Return the number of rows for each reason, the most frequent first."""
        found: dict[str, int] = {}
        for reason in self.reasons:
            found[reason] = found.get(reason, 0) + 1
        return dict(sorted(found.items(), key=lambda own: -own[1]))

    def told(self, name: str, file: Path | None) -> str:
        """Write the rows to a file, and say in a sentence how many were left out, and why."""
        if file is not None:
            self.write(file)
        # Of equal reasons, the last in this order remains: the first row.
        first = dict(zip(reversed(self.reasons), self.rows[::-1].tolist(), strict=True))
        counts = self.counts()
        told = ", ".join(
            f"{count:,} because {reason} (such as row {first[reason]})"
            for reason, count in counts.items()
        )
        where = "" if file is None else f"; they are in {file}"
        text = f"left out {len(self):,} of {self.total:,} rows of {name}: {told}{where}"
        return note_if_few(text, len(self), self.total)

    def write(self, path: Path) -> None:
        """Write a CSV file with the columns row, reason and text; raises OptionError if it can't be."""
        table = pa.table({"row": self.rows, "reason": self.reasons, "text": self.texts})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with create_regular(path) as file:
                pa.csv.write_csv(table, file)
        except OSError as error:
            reason = f"a file that can be written ({error.strerror or error})"
            raise OptionError("--skipped-file", str(path), reason) from error


def skip(source: FileColumns, *, now: float, form: DateFormat | None) -> tuple[FileColumns, Skipped]:
    """Leave out the rows that `interactions.from_table` would refuse one by one.

    Args:
        source: interactions.
        now: the current time in seconds since 1970.
        form: the form of the timestamps.

    Returns:
        The source without such rows, and those rows. A column without a valid value is left as it is:
        reading it names the mistake.

    Raises:
        InputError: no row can be read.
    """
    return _without(source, _invalid(source, now=now, form=form))


def skip_in_table(source: FileColumns, key: str) -> tuple[FileColumns, Skipped]:
    """Leave out the rows of a file of items or users that `features.from_table` would refuse.

    Besides rows without a valid id, these are later rows of the same id. `key` is the column of the id;
    returns and raises as `skip`.
    """
    masks = _invalid_ids(source, [key])
    column = source.table.column(key)
    valid = ~np.logical_or.reduce([*masks.values(), np.zeros(len(column), dtype=np.bool_)])
    _, codes = np.unique(
        np.array(column_types.decoded(column).cast(_TEXT).to_pylist(), dtype=object)[valid].astype(str),
        return_inverse=True,
    )
    _, first = np.unique(codes, return_index=True)
    again = valid.copy()
    again[np.flatnonzero(valid)[first]] = False
    if again.any():
        masks[f"{_shown(source, key)} is also in an earlier row"] = again
    return _without(source, masks)


def _without(source: FileColumns, invalid: dict[str, NDArray[np.bool_]]) -> tuple[FileColumns, Skipped]:
    """Return the source without the rows of the masks, and those rows with the wrong ones."""
    table, path = source.table, source.path
    rows = source.rows
    if rows is None:
        rows = np.arange(1, table.num_rows + 1, dtype=np.int64)
    if source.wrong and not len(rows):
        first = source.wrong[0]
        raise InputError(path, f"{first.reason} (so are all other rows)", row=first.row)
    reasons = np.full(table.num_rows, -1, dtype=np.int64)
    names = list(invalid)
    # The first reason of a row counts.
    for place in range(len(names) - 1, -1, -1):
        reasons[invalid[names[place]]] = place
    bad = np.flatnonzero(reasons >= 0)
    total = table.num_rows + len(source.wrong)
    found = [(own.row, _of_wrong(own.reason), own.text) for own in source.wrong]
    texts = _texts(table.take(pa.array(bad)))
    found += zip(rows[bad].tolist(), (names[own] for own in reasons[bad]), texts, strict=True)
    found.sort(key=lambda own: own[0])
    skipped = Skipped(
        np.array([own[0] for own in found], dtype=np.int64),
        [own[1] for own in found],
        [own[2] for own in found],
        total,
    )
    if len(bad):
        kept = np.ones(table.num_rows, dtype=np.bool_)
        kept[bad] = False
        source = replace(source, table=table.filter(pa.array(kept)), rows=rows[kept])
    return source, skipped


def _invalid(
    source: FileColumns, *, now: float, form: DateFormat | None
) -> dict[str, NDArray[np.bool_]]:
    """Return masks of the invalid rows by reason, for the columns whose type is right."""
    masks: dict[str, NDArray[np.bool_]] = {}
    table = source.table

    def add(reason: str, mask: NDArray[np.bool_]) -> None:
        # If no value of a column is right, the column is read in a wrong way. Reading it again says so.
        others = ~np.logical_or.reduce([*masks.values(), np.zeros(table.num_rows, dtype=np.bool_)])
        if not mask[others].all():
            masks[reason] = mask

    for reason, mask in _invalid_ids(source, ["user_id", "item_id"]).items():
        add(reason, mask)
    if "weight" in table.column_names:
        values = tables.trimmed(column_types.decoded(table.column("weight")))
        reason = f"{_shown(source, 'weight')} isn't a number from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}"
        if column_types.is_text(values.type):
            matching = pc.fill_null(pc.match_substring_regex(values, NUMBER), fill_value=False)
            values = pc.if_else(matching, values, pa.scalar(None, values.type)).cast(pa.float64())
        if column_types.is_number(values.type):
            numbers = pc.abs(pc.cast(values, pa.float64(), safe=False))
            add(reason, ~_mask(pc.less_equal(numbers, MAX_WEIGHT)))
    if "timestamp" in table.column_names:
        values = column_types.decoded(table.column("timestamp"))
        reason = f"{_shown(source, 'timestamp')} isn't a time up to now"
        add(reason, ~timestamps.are_valid(values, now=now, form=form))
    return {reason: mask for reason, mask in masks.items() if mask.any()}


def _invalid_ids(source: FileColumns, names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    for name in names:
        values = column_types.decoded(source.table.column(name))
        if column_types.is_text(values.type) or column_types.is_integer(values.type):
            texts = column_types.as_text(values)
            empty = _mask(pc.equal(texts, ""), missing=True)
            too_long = _mask(pc.greater(pc.binary_length(texts), MAX_ID_BYTES))
            # A column without any id is read in a wrong way.
            if not (empty | too_long).all():
                masks[f"{_shown(source, name)} is empty"] = empty
                masks[f"{_shown(source, name)} has more than {MAX_ID_BYTES} bytes"] = too_long
    return masks


def _shown(source: FileColumns, name: str) -> str:
    return f"{name} ({source.renamed[name]})" if name in source.renamed else name


def _mask(values: pa.ChunkedArray, *, missing: bool = False) -> NDArray[np.bool_]:
    filled = pc.fill_null(values, fill_value=missing)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _of_wrong(reason: str) -> str:
    """Return the kind of an error about a whole row."""
    return _UNEVEN if reason.startswith("has ") else _UNREADABLE


def _texts(table: pa.Table) -> list[str]:
    """Return the values of each row, with commas between."""
    columns = [own for own in _SHOWN_COLUMNS if own in table.column_names]
    values = (column_types.decoded(table.column(name)) for name in columns)
    texts = [pc.fill_null(own.cast(_TEXT), "") for own in values]
    return [*pc.binary_join_element_wise(*texts, pa.scalar(",", _TEXT)).to_pylist()]
