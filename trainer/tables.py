"""CSV and Parquet files as Arrow tables, with errors that name the file, the column and the row."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from publication.errors import InvalidIdError
from publication.id_map import check_id
from trainer.bounds import MAX_WEIGHT, weights_as_float32
from trainer.errors import InputError

_PARQUET_MAGIC = b"PAR1"
_SNIFFED_BYTES = 1 << 16


def read_table(
    path: Path, *, required: Collection[str], optional: Collection[str] | None = None
) -> pa.Table:
    """Read columns of a CSV (comma; tab for .tsv; gzip and others by suffix) or Parquet file.

    Args:
        path: the file; Parquet is known by its content, not by its name.
        required: columns that must be there.
        optional: further columns to read where they exist; None reads all.

    Returns:
        A table of at least one row. Columns of a CSV file are all strings, an empty field is "".

    Raises:
        InputError: the file can't be read, is empty, has no such columns, or is of another kind.
    """
    start = _start(path)
    if not start:
        raise InputError(path, "the file is empty")
    try:
        if start.startswith(_PARQUET_MAGIC):
            table = _read_parquet(path, required, optional)
        else:
            table = _read_csv(path, start, required, optional)
    except (pa.ArrowException, OSError) as error:
        # What Arrow says of a header without a line break, of blank lines, and of nothing in a .gz.
        if "Empty CSV file" in str(error):
            raise InputError(path, "there is no row after the header") from error
        raise InputError(path, f"can't be read as {_kind(start)}: {error}") from error
    except UnicodeDecodeError as error:
        # Arrow itself looks at the values only.
        raise InputError(path, f"a column's name isn't UTF-8: {error.object!r}") from error
    if table.num_rows == 0:
        raise InputError(path, "there is no row after the header")
    return table


def ids(path: Path, table: pa.Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct external ids of a column, and for each row the position of its id among them.

    Raises:
        InputError: an id is empty, missing, too long or isn't text or an integer; names the row.
    """
    values = _as_text(path, table, column)
    encoded = pc.dictionary_encode(values)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    if encoded.null_count:
        raise InputError(path, f"{column} is empty", row=first(pc.is_null(values)))
    distinct: list[str] = encoded.dictionary.to_pylist()
    codes: NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    for position, external_id in enumerate(distinct):
        try:
            check_id(external_id)
        except InvalidIdError as error:
            row = int(np.argmax(codes == position)) + 1
            raise InputError(path, f"{column}: {error}", row=row) from error
    return distinct, codes


def numbers(
    path: Path, table: pa.Table, column: str, *, limit: float = MAX_WEIGHT
) -> NDArray[np.float32]:
    """A column of weights as float32; what isn't 0 stays so, however near it is.

    Raises:
        InputError: a value isn't a number between -limit and limit; names the row and the value.
    """
    numeric = _as_float64(path, trimmed(decoded(table.column(column))), column)
    if numeric.null_count:
        raise InputError(path, f"{column} is empty", row=first(pc.is_null(numeric)))
    values: NDArray[np.float64] = numeric.to_numpy()
    # Not `> limit`, which NaN passes.
    bad = ~(np.abs(values) <= limit)
    if bad.any():
        row = int(bad.argmax())
        value = values[row].item()
        reason = f"{column} is {value}, which isn't a finite number"
        if math.isfinite(value):
            reason = (
                f"{column} is {value:g}, but should be between {-limit:g} and {limit:g}: mend or leave "
                f"out such rows ({np.count_nonzero(bad)} of {len(bad)}), or divide all by one number"
            )
        raise InputError(path, reason, row=row + 1)
    return weights_as_float32(values)


def numbers_or_gaps(path: Path, table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column of finite numbers as float64, NaN where there is none.

    NaN in a numeric column is none too, since dataframes write it so.

    Raises:
        InputError: names the row and the value that isn't a finite number.
    """
    values = trimmed(decoded(table.column(column)))
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
    """A column as Arrow's large text, "" where it is missing; InputError when it can't be text."""
    values = pc.fill_null(_as_text(path, table, column), "")
    # Text of a single chunk comes as an array of its own from some of Arrow's functions.
    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def texts(path: Path, table: pa.Table, column: str) -> list[str]:
    """A column as text, "" where it is missing."""
    return ["" if value is None else value for value in _as_text(path, table, column).to_pylist()]


def multi_valued(path: Path, table: pa.Table, column: str, separator: str) -> Iterator[list[str]]:
    """The values of each row as text, without empty ones: of a list, or of text cut at a separator."""
    values = table.column(column)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        for row in values.to_pylist():
            yield [str(value) for value in row or () if not _is_missing(value)]
    elif pa.types.is_floating(values.type) or pa.types.is_boolean(values.type):
        for value in values.to_pylist():
            yield [] if _is_missing(value) else [str(value)]
    else:
        for text in texts(path, table, column):
            yield [value for part in text.split(separator) if (value := part.strip())]


def categories(path: Path, table: pa.Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts of a column, "" where it is missing, and for each row the position of its."""
    values = pc.fill_null(_as_text(path, table, column), "")
    encoded = pc.dictionary_encode(values).combine_chunks()
    codes: NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.to_pylist(), codes


def rename(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """The table with some columns under other names."""
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def release_memory() -> None:
    """Give back to the system what Arrow keeps for itself of the memory of tables that are gone."""
    pa.default_memory_pool().release_unused()


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its content; raises InputError when it can't be read."""
    return _start(path, len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def wanted(
    path: Path, found: list[str], required: Collection[str], optional: Collection[str] | None
) -> list[str]:
    """Those of the columns found that are required or optional (None: all), in their order.

    Raises:
        InputError: a required one is missing, or one is there more than once.
    """
    # One may be wanted for two reasons.
    missing = [name for name in dict.fromkeys(required) if name not in found]
    if missing:
        raise InputError(
            path, f"column {', '.join(missing)} is missing; the columns are: {', '.join(found)}"
        )
    chosen = [name for name in found if optional is None or name in required or name in optional]
    twice = sorted({name for name in chosen if found.count(name) > 1})
    if twice:
        raise InputError(path, f"column {', '.join(twice)} is there more than once")
    return chosen


def trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without space around it, and null for nothing, as an empty field of a CSV file is."""
    if not is_text(values.type):
        return values
    values = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.large_string()), values)


def decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values themselves where a column holds codes of them."""
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def is_text(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def first(mask: pa.ChunkedArray) -> int:
    """The row, counted from 1, of the first true value."""
    return int(pc.index(mask, True).as_py()) + 1


def _start(path: Path, size: int = _SNIFFED_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from error


def _read_parquet(path: Path, required: Collection[str], optional: Collection[str] | None) -> pa.Table:
    with pa.parquet.ParquetFile(path) as file:
        found = file.schema_arrow.names
        table = file.read(columns=wanted(path, found, required, optional))
    # Text that isn't UTF-8, for instance, which Arrow lets pass.
    table.validate(full=True)
    return table


def _read_csv(
    path: Path, start: bytes, required: Collection[str], optional: Collection[str] | None
) -> pa.Table:
    compressed = path.suffix in {".gz", ".bz2", ".zst", ".lz4"}
    if b"\0" in start and not compressed:
        raise InputError(path, "is neither CSV nor Parquet: it holds binary data")
    kind = Path(path.stem).suffix if compressed else path.suffix
    parse = pa.csv.ParseOptions(delimiter="\t" if kind == ".tsv" else ",", newlines_in_values=True)
    with pa.csv.open_csv(path, parse_options=parse) as reader:
        found = reader.schema.names
    columns = wanted(path, found, required, optional)
    convert = pa.csv.ConvertOptions(
        include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
    )
    return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)


def _as_text(path: Path, table: pa.Table, column: str) -> pa.ChunkedArray:
    values = decoded(table.column(column))
    if not (is_text(values.type) or pa.types.is_integer(values.type)):
        raise InputError(path, f"column {column} holds {values.type}, but should hold text or integers")
    return values.cast(pa.large_string())


def _as_float64(path: Path, values: pa.ChunkedArray, column: str) -> pa.ChunkedArray:
    try:
        # Not "safe", which refuses integers that a float can only come close to.
        return pc.cast(values, pa.float64(), safe=False)
    except pa.ArrowInvalid:
        row, value = _first_not_a_number(values)
        raise InputError(path, f"{column} is {value!r}, which isn't a number", row=row) from None
    except pa.ArrowException as error:
        raise InputError(path, f"{column} isn't a column of numbers: {error}") from error


def _is_missing(value: object) -> bool:
    """NaN is how dataframes write a number that isn't there."""
    return value in (None, "") or (isinstance(value, float) and math.isnan(value))


def _first_not_a_number(values: pa.ChunkedArray) -> tuple[int, object]:
    for row, value in enumerate(values.to_pylist(), start=1):
        try:
            if value is not None:
                pc.cast(pa.scalar(str(value)), pa.float64())
        except pa.ArrowInvalid:
            return row, value
    raise AssertionError("every value is a number")


def _kind(start: bytes) -> str:
    return "Parquet" if start.startswith(_PARQUET_MAGIC) else "CSV"
