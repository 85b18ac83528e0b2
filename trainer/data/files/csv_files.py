"""CSV files as Arrow tables of text."""

from __future__ import annotations

import bz2
import gzip
import io
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv

from lightfm_retriever.files.regular_files import held_open, open_regular
from trainer.data.files import column_names, csv_places, file_kinds
from trainer.data.files.csv_places import CsvFormat
from trainer.errors import InputError

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_READERS: dict[str | None, Callable[[BinaryIO], Any]] = {"gzip": gzip.open, "bz2": bz2.open}
_SNIFFED_BYTES = 1 << 16


def read(path: Path, required: Collection[str], optional: Collection[str] | None) -> pa.Table:
    """Read columns of a CSV file, all as text, an empty field as "".

    Args:
        path: a file with commas, or with tabs where its name ends in .tsv; compressed where it goes on
            with .gz, .bz2, .zst or .lz4.
        required: columns that must be there.
        optional: further columns to read where they exist; None reads all.

    Raises:
        InputError: the file isn't CSV, or has no such columns or no rows; names the row that is wrong.
    """
    form = _form(path)
    parse = pa.csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True)
    columns: list[str] = list(required)
    try:
        _check_text(path, form)
        with (
            _arrow_stream(path, form) as stream,
            pa.csv.open_csv(stream, parse_options=parse) as reader,
        ):
            found = reader.schema.names
        columns = column_names.wanted(path, found, required, optional)
        convert = pa.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
        )
        with _arrow_stream(path, form) as stream:
            counted = _CountingQuotes(stream)
            table = pa.csv.read_csv(counted, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        # What Arrow says of a header without a line break, of blank lines, and of nothing in a .gz.
        if "Empty CSV file" in str(error):
            raise InputError(path, "there is no row after the header") from error
        found_there = _find(path, form, columns)
        raise found_there or InputError(path, f"can't be read as CSV: {error}") from error
    except UnicodeDecodeError as error:
        # Arrow itself looks at the values only.
        hint = file_kinds.how_to_convert(error)
        raise InputError(path, f"a column's name isn't UTF-8: {error.object!r}: {hint}") from error
    # Arrow takes all that follows a quote that is never closed for one value, which may lie in a column
    # that isn't read. Where no quote is open at the end there may still be one within a value.
    if counted.quotes % 2 and (error_there := _find(path, form, columns)):
        raise error_there
    return table


class _CountingQuotes(io.RawIOBase):
    """A stream to read from that counts the quotes in what was read."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        self.quotes += data.count(b'"')
        return data


def _form(path: Path) -> CsvFormat:
    compression = _COMPRESSIONS.get(path.suffix)
    kind = path.suffix if compression is None else Path(path.stem).suffix
    return CsvFormat("\t" if kind == ".tsv" else ",", compression)


def _check_text(path: Path, form: CsvFormat) -> None:
    """Raise InputError when a file begins, decompressed, as one that is no text does."""
    with _arrow_stream(path, form) as stream:
        start: bytes = stream.read(_SNIFFED_BYTES)
    inside = "" if form.compression is None else f"inside of {form.compression}, "
    if start.startswith(file_kinds.PARQUET_MAGIC):
        raise InputError(path, f"can't be read as CSV: {inside}it is Parquet: decompress it")
    problem = file_kinds.problem(start, by_name=form.compression is None)
    if problem is not None or b"\0" in start:
        hint = "" if problem is None else f": {inside}{problem}"
        raise InputError(path, f"is neither CSV nor Parquet: it holds binary data{hint}")


@contextmanager
def _arrow_stream(path: Path, form: CsvFormat) -> Iterator[pa.NativeFile]:
    with held_open(path) as name, pa.input_stream(name, compression=form.compression) as stream:
        yield stream


def _find(path: Path, form: CsvFormat, columns: Collection[str]) -> InputError | None:
    try:
        with _stream(path, form) as stream:
            return csv_places.find(path, stream, form, columns)
    except OSError:
        # It can't even be opened: what Arrow said of it says more.
        return None


@contextmanager
def _stream(path: Path, form: CsvFormat) -> Iterator[Any]:
    """The content, of which all that comes before a damaged part can be read."""
    if form.compression in _READERS:
        with open_regular(path) as file, _READERS[form.compression](file) as stream:
            yield stream
    else:
        with _arrow_stream(path, form) as stream:
            yield stream
