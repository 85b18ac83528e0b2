"""Read CSV files as Arrow tables of text.

Arrow doesn't name the row of an error. So a file that Arrow can't read is read again, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.csv

from trainer.data.files import csv_rows, file_kinds
from trainer.data.files.layout import UTF_8
from trainer.data.files.text_file import SNIFFED_BYTES, TextFile
from trainer.errors import InputError


def names(file: TextFile) -> list[str]:
    """Return the names of the columns; raises InputError if there is no row, or the file isn't text."""
    with _as_input_errors(file, []):
        return _names(file)


def _names(file: TextFile) -> list[str]:
    _check_text(file)
    if not file.layout.header:
        parsing = file.parsing()
        # Reading the rows says which of them are wrong.
        parsing.invalid_row_handler = lambda _: "skip"
        with file.opened() as stream, pa.csv.open_csv(stream, parse_options=parsing) as reader:
            return list(reader.schema.names)
    return file.names_of() or file.names_of(file.width())


def read(file: TextFile, choose: Callable[[list[str]], list[str]]) -> pa.Table:
    """Read columns of a CSV file as text; an empty field is "".

    Args:
        file: the file. A header in its layout means that it has none itself.
        choose: returns the columns to read, of those that there are.

    Raises:
        InputError: the file isn't CSV, or has no rows; names the wrong row.
    """
    columns: list[str] = []
    with _as_input_errors(file, columns):
        found = _names(file)
        columns += choose(found)
        own_names = pa.csv.ReadOptions(column_names=found) if file.layout.header else None
        convert = pa.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
        )
        with file.opened() as stream:
            table = pa.csv.read_csv(
                stream, read_options=own_names, parse_options=file.parsing(), convert_options=convert
            )
    # Arrow reads everything after an unclosed quote as one value, perhaps of a column that isn't read.
    # An odd number of quotes may also come from a quote within a value, so look for the row.
    if file.has_quotes and stream.quotes % 2 and (error_there := csv_rows.first_wrong(file, columns)):
        raise error_there
    return table


@contextmanager
def _as_input_errors(file: TextFile, columns: Collection[str]) -> Iterator[None]:
    """Turn the errors of Arrow into an InputError, which names the row."""
    path = file.path
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        # Arrow says this of a header without a line break, of blank lines, and of an empty .gz.
        if "Empty CSV file" in str(error):
            raise InputError(path, "there is no row after the header") from error
        found_there = csv_rows.first_wrong(file, columns)
        raise found_there or InputError(path, f"can't be read as CSV: {error}") from error
    except UnicodeDecodeError as error:
        if file.layout.encoding != UTF_8:
            raise InputError(path, f"isn't text in {file.layout.encoding}: {error.reason}") from error
        # Arrow checks the values only, not the names.
        hint = file_kinds.how_to_convert(error, flags=file.layout.flags)
        raise InputError(path, f"a column's name isn't UTF-8: {error.object!r}: {hint}") from error


def _check_text(file: TextFile) -> None:
    """Raise InputError if the decompressed file doesn't begin like text."""
    with file.opened() as stream:
        start = stream.read(SNIFFED_BYTES)
    inside = "" if file.compression is None else f"inside of {file.compression}, "
    if start.startswith(file_kinds.PARQUET_MAGIC):
        raise InputError(file.path, f"can't be read as CSV: {inside}it is Parquet: decompress it")
    problem = file_kinds.problem(start, by_name=file.compression is None, flags=file.layout.flags)
    if problem is not None or b"\0" in start:
        hint = "" if problem is None else f": {inside}{problem}"
        raise InputError(file.path, f"is neither CSV nor Parquet: it holds binary data{hint}")
