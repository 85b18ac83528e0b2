"""Read CSV and Parquet files as Arrow tables; errors name the file, the column and the row."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from lightfm_retriever.publication.errors import InvalidIdError
from lightfm_retriever.publication.storage.id_map import check_id
from trainer.data.bounds import MAX_WEIGHT, weights_as_float32
from trainer.data.files import column_names, column_types, csv_files, json_lines, parquet_files
from trainer.data.files.column_types import as_text, decoded, is_text
from trainer.data.files.file_kinds import PARQUET_MAGIC, start_of
from trainer.data.files.layout import STRICT, Layout
from trainer.data.files.text_file import TextFile
from trainer.errors import InputError, OptionError

FileFormat = Literal["csv", "json", "parquet"]
_FORMATS = {"json": "JSON Lines", "parquet": "Parquet"}
_WITHOUT = "leave out rows without one"


def read_table(
    path: Path,
    *,
    required: Collection[str],
    optional: Collection[str] | None = None,
    layout: Layout = STRICT,
) -> pa.Table:
    """Read columns of a CSV, JSON Lines or Parquet file; the content decides which.

    Args:
        path: the file. A CSV file is separated by commas, or by tabs if its name ends in .tsv, unless
            the layout says otherwise. A further ending .gz, .bz2, .zst or .lz4 means that it is
            compressed.
        required: columns that must exist.
        optional: further columns to read if they exist; None reads all.
        layout: how the file is written. Its names of columns have no effect here.

    Raises:
        InputError: the file can't be read, is of another kind, has no row or lacks a column; names the
            wrong row if there is one.
        OptionError: the layout has options of text files, but the file is none.
    """

    def choose(found: list[str]) -> list[str]:
        return column_names.wanted(path, found, required, optional, flags=layout.flags)

    kind = kind_of(path, layout)
    if kind == "csv":
        table = csv_files.read(TextFile(path, layout), choose)
    else:
        table = (json_lines.read if kind == "json" else parquet_files.read)(path, choose)
    if table.num_rows == 0:
        raise InputError(path, "there is no row after the header")
    return table


def names_of(path: Path, layout: Layout = STRICT) -> list[str]:
    """Return the names of a file's columns; raises as `read_table`."""
    kind = kind_of(path, layout)
    if kind == "csv":
        return csv_files.names(TextFile(path, layout))
    return json_lines.names(path) if kind == "json" else parquet_files.names(path)


def first_rows(path: Path) -> pa.Table:
    """Return all columns of the first rows of a JSON Lines or Parquet file; raises as `read_table`."""
    first = parquet_files.first_rows if kind_of(path) == "parquet" else json_lines.first_rows
    return first(path)


def kind_of(path: Path, layout: Layout = STRICT) -> FileFormat:
    """Return the format of a file by its content; raises as `read_table`."""
    start = start_of(path)
    if not start:
        raise InputError(path, "the file is empty")
    if start == PARQUET_MAGIC:
        kind: FileFormat = "parquet"
    else:
        kind = "json" if layout.separator is None and json_lines.is_it(path) else "csv"
    for flag, value in layout.text_options().items():
        if kind != "csv":
            raise OptionError(flag, value, f"left out: {path} is {_FORMATS[kind]}")
    return kind


def ids(path: Path, table: pa.Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct external ids of a column, and each row's position among them (n,).

    Raises:
        InputError: an id is empty, missing, too long, or not text or an integer; names the row.
    """
    values = _as_text(path, table, column)
    if values.null_count:
        raise InputError(path, f"{column} is empty: {_WITHOUT}", row=first(pc.is_null(values)))
    distinct, codes = _encoded(values)
    for position, external_id in enumerate(distinct):
        try:
            check_id(external_id)
        except InvalidIdError as error:
            row = int(np.argmax(codes == position)) + 1
            if not external_id:
                raise InputError(path, f"{column} is empty: {_WITHOUT}", row=row) from error
            raise InputError(path, f"{column}: {error}", row=row) from error
    return distinct, codes


def numbers(path: Path, table: pa.Table, column: str) -> NDArray[np.float32]:
    """Return a column of weights as float32 (n,); a weight other than 0 never becomes 0.

    Raises:
        InputError: a value isn't a number, or exceeds MAX_WEIGHT; names the row and the value.
    """
    numeric = _as_float64(path, trimmed(decoded(table.column(column))), column)
    if numeric.null_count:
        raise InputError(path, f"{column} is empty", row=first(pc.is_null(numeric)))
    values: NDArray[np.float64] = numeric.to_numpy()
    # `> MAX_WEIGHT` would be false for NaN.
    bad = ~(np.abs(values) <= MAX_WEIGHT)
    if bad.any():
        row = int(bad.argmax())
        value = values[row].item()
        reason = f"{column} is {value}, which isn't a finite number"
        if math.isfinite(value):
            reason = (
                f"{column} is {value!r}, but should be between {-MAX_WEIGHT:g} and {MAX_WEIGHT:g}: "
                f"fix or leave out such rows ({np.count_nonzero(bad)} of {len(bad)}), or divide all "
                "weights by one number"
            )
        raise InputError(path, reason, row=row + 1)
    return weights_as_float32(values)


def numbers_or_gaps(path: Path, table: pa.Table, column: str) -> NDArray[np.float64]:
    """Return a column of finite numbers as float64 (n,), NaN for a missing one.

    NaN in a numeric column counts as missing, since dataframes write it so.

    Raises:
        InputError: names the row and the value that isn't a finite number.
    """
    values = trimmed(table.column(column))
    numeric = _as_float64(path, values, column)
    result: NDArray[np.float64] = numeric.to_numpy(zero_copy_only=False).astype(np.float64)
    bad = np.isinf(result) if not is_text(values.type) else ~np.isfinite(result)
    bad &= ~pc.is_null(numeric).to_numpy(zero_copy_only=False)
    if bad.any():
        row = int(bad.argmax()) + 1
        value = values[row - 1].as_py()
        raise InputError(path, f"{column} is {value!r}, which isn't a finite number", row=row)
    return result


def text_column(path: Path, table: pa.Table, column: str) -> pa.ChunkedArray:
    """Return a column as large_string, "" for a missing value; raises InputError for other types."""
    values = pc.fill_null(_as_text(path, table, column), "")
    # Some functions of Arrow return a plain array for a single chunk.
    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def texts(path: Path, table: pa.Table, column: str) -> list[str]:
    """Return a column as text, "" for a missing value; floats that are all whole become integers."""
    return [*pc.fill_null(_as_text(path, table, column, are_labels=True), "").to_pylist()]


def multi_valued(path: Path, table: pa.Table, column: str, separator: str) -> Iterator[list[str]]:
    """Yield the values of each row as text, trimmed, without empty ones.

    A list gives its values, text is split at the separator, and another type gives one value.

    Raises:
        InputError: the column has bytes, structs, or lists of bytes, structs or lists.
    """
    values = decoded(table.column(column))
    if not column_types.is_list(values.type):
        for text in _labels(path, values, values.type, column).to_pylist():
            parts = text.split(separator) if is_text(values.type) and text else [text or ""]
            yield [value for part in parts if (value := part.strip())]
        return
    own = _labels(path, decoded(pc.list_flatten(values)), values.type, column).to_pylist()
    # A missing list has no values.
    lengths = pc.if_else(pc.is_valid(values), pc.list_value_length(values), 0).to_pylist()
    end = 0
    for length in lengths:
        start, end = end, end + length
        yield [value for text in own[start:end] if (value := (text or "").strip())]


def categories(path: Path, table: pa.Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts of a column, "" for a missing one, and each row's position (n,)."""
    return _encoded(pc.fill_null(_as_text(path, table, column, are_labels=True), ""))


def release_memory() -> None:
    """Return the memory of deleted tables, which Arrow keeps, to the system."""
    pa.default_memory_pool().release_unused()


def trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strip white space around text; empty text, such as an empty CSV field, becomes null.

    Dictionary columns are decoded. Columns of other types are returned unchanged.
    """
    values = decoded(values)
    if not is_text(values.type):
        return values
    values = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.large_string()), values)


def first(mask: pa.ChunkedArray) -> int:
    """Return the row, counted from 1, of the first true value."""
    return int(pc.index(mask, True).as_py()) + 1


def _encoded(values: pa.Array | pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    encoded = pc.dictionary_encode(values)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes: NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.to_pylist(), codes


def _as_text(path: Path, table: pa.Table, column: str, *, are_labels: bool = False) -> pa.ChunkedArray:
    """Return ids as text; or labels, which may be missing, so integers may have become floats."""
    values = decoded(table.column(column))
    is_known = is_text(values.type) or column_types.is_integer(values.type)
    if are_labels:
        is_known = is_known or column_types.is_whole(values)
    elif pa.types.is_null(table.column(column).type):
        is_known, values = False, table.column(column)
    if not is_known:
        reason = f"column {column} holds {values.type}, but should hold text or integers"
        raise InputError(path, reason + _how_to_write(values))
    return as_text(values)


def _how_to_write(values: pa.ChunkedArray) -> str:
    """Explain how to fix integers that a dataframe wrote as floats; "" for other columns."""
    if not column_types.is_whole(values):
        return ""
    gaps = pc.or_kleene(pc.is_null(values), pc.is_nan(values)).fill_null(fill_value=True)
    if not pc.any(gaps).as_py():
        return ": all values are whole, so write them as integers"
    return (
        f": dataframes write integers as floats if one is missing, as in row {first(gaps)}. Leave such "
        "rows out, or write the column as nullable integers (pandas: astype('Int64'))"
    )


def _labels(path: Path, values: pa.ChunkedArray, shown: pa.DataType, column: str) -> pa.ChunkedArray:
    """Return values as text, if their type has one; errors name `shown`, the type of the column."""
    if not column_types.has_text(values.type):
        reason = f"column {column} holds {shown}, but should hold text or integers, or lists of such"
        raise InputError(path, f"{reason}: flatten it, or take one field out of it")
    return as_text(values)


def _as_float64(path: Path, values: pa.ChunkedArray, column: str) -> pa.ChunkedArray:
    try:
        # A safe cast would refuse integers that a float can only approximate.
        return pc.cast(values, pa.float64(), safe=False)
    except pa.ArrowInvalid:
        row, value = _first_not_a_number(values)
        raise InputError(path, f"{column} is {value!r}, which isn't a number", row=row) from None
    except pa.ArrowException as error:
        raise InputError(path, f"{column} isn't a column of numbers: {error}") from error


def _first_not_a_number(values: pa.ChunkedArray) -> tuple[int, object]:
    for row, value in enumerate(values.to_pylist(), start=1):
        try:
            if value is not None:
                pc.cast(pa.scalar(str(value)), pa.float64())
        except pa.ArrowInvalid:
            return row, value
    raise AssertionError("every value is a number")
