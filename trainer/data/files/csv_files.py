"""Read CSV files as Arrow tables of text, and find the first wrong row.

Arrow doesn't name the row of an error. So a file that Arrow can't read is read again, row by row.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import threading
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import pyarrow as pa
import pyarrow.csv

from lightfm_retriever.files.regular_files import held_open, open_regular
from trainer.data.files import column_names, file_kinds
from trainer.errors import InputError

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_READERS: dict[str | None, Callable[[BinaryIO], Any]] = {"gzip": gzip.open, "bz2": bz2.open}
_SNIFFED_BYTES = 1 << 16
# The longest row in characters: the block size of Arrow.
_MAX_ROW = 1 << 20
_READ_BYTES = 1 << 20
_SHOWN_CHARACTERS = 60
# A part of the message of module csv for a value that is too long.
_TOO_LONG = "field limit"
_END = "\0end of the file"
_DAMAGED = (OSError, EOFError, zlib.error)


class _File:
    """A CSV file, its delimiter, and its compression: "gzip", "bz2", "zstd", "lz4" or None."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.compression = _COMPRESSIONS.get(path.suffix)
        kind = path.suffix if self.compression is None else Path(path.stem).suffix
        self.delimiter = "\t" if kind == ".tsv" else ","


def read(path: Path, required: Collection[str], optional: Collection[str] | None) -> pa.Table:
    """Read columns of a CSV file as text; an empty field is "".

    Args:
        path: a file separated by commas, or by tabs if its name ends in .tsv. A further ending .gz,
            .bz2, .zst or .lz4 means that it is compressed.
        required: columns that must exist.
        optional: further columns to read if they exist; None reads all.

    Raises:
        InputError: the file isn't CSV, lacks a column, or has no rows; names the wrong row.
    """
    file = _File(path)
    parse = pa.csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True)
    columns: list[str] = list(required)
    try:
        _check_text(file)
        with _arrow_stream(file) as stream, pa.csv.open_csv(stream, parse_options=parse) as reader:
            found = reader.schema.names
        columns = column_names.wanted(path, found, required, optional)
        convert = pa.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
        )
        with _arrow_stream(file) as stream:
            table = pa.csv.read_csv(stream, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        # Arrow says this of a header without a line break, of blank lines, and of an empty .gz.
        if "Empty CSV file" in str(error):
            raise InputError(path, "there is no row after the header") from error
        found_there = _find(file, columns)
        raise found_there or InputError(path, f"can't be read as CSV: {error}") from error
    except UnicodeDecodeError as error:
        # Arrow checks the values only, not the names.
        hint = file_kinds.how_to_convert(error)
        raise InputError(path, f"a column's name isn't UTF-8: {error.object!r}: {hint}") from error
    # Arrow reads everything after an unclosed quote as one value, perhaps of a column that isn't read.
    # An odd number of quotes may also come from a quote within a value, so look for the row.
    if stream.quotes % 2 and (error_there := _find(file, columns)):
        raise error_there
    return table


class _Stream(io.RawIOBase):
    """A stream that counts quotes, and that one thread may close while another reads.

    Arrow reads ahead in a thread, which continues after a reader was closed or failed. By then the
    descriptor may belong to another file, and the thread would steal data from its reader.
    """

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with self._lock:
            if self.closed:
                return b""
            data: bytes = self._stream.read(size)
        self.quotes += data.count(b'"')
        return data

    def close(self) -> None:
        with self._lock:
            super().close()
            self._stream.close()


def _check_text(file: _File) -> None:
    """Raise InputError if the decompressed file doesn't begin like text."""
    with _arrow_stream(file) as stream:
        start: bytes = stream.read(_SNIFFED_BYTES)
    inside = "" if file.compression is None else f"inside of {file.compression}, "
    if start.startswith(file_kinds.PARQUET_MAGIC):
        raise InputError(file.path, f"can't be read as CSV: {inside}it is Parquet: decompress it")
    problem = file_kinds.problem(start, by_name=file.compression is None)
    if problem is not None or b"\0" in start:
        hint = "" if problem is None else f": {inside}{problem}"
        raise InputError(file.path, f"is neither CSV nor Parquet: it holds binary data{hint}")


@contextmanager
def _arrow_stream(file: _File) -> Iterator[_Stream]:
    with (
        held_open(file.path) as name,
        _Stream(pa.input_stream(name, compression=file.compression)) as stream,
    ):
        yield stream


def _find(file: _File, columns: Collection[str]) -> InputError | None:
    """Return an error that names the first wrong row; None if no row is wrong.

    A row is wrong if it has more or fewer values than the header, if a wanted value isn't UTF-8, if a
    quote in it is never closed, or if it is longer than Arrow reads. A damaged file is wrong from the
    row on that can't be decompressed.
    """
    # The limit holds for the whole process, so only raise it.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_ROW))
    rows = _Rows(file)
    try:
        with _stream(file) as stream:
            try:
                found = rows.check(stream, columns)
                # Damaged data may decompress to wrong text first and fail its checksum later.
                while found is not None and file.compression is not None and stream.read(_READ_BYTES):
                    pass
            except (*_DAMAGED, csv.Error) as error:
                return rows.broken(error)
            return found
    except OSError:
        # The file can't be opened. Arrow's error says more.
        return None


@contextmanager
def _stream(file: _File) -> Iterator[Any]:
    """Open the content such that everything before a damaged part can be read."""
    if file.compression in _READERS:
        with open_regular(file.path) as opened, _READERS[file.compression](opened) as stream:
            yield stream
    else:
        with _arrow_stream(file) as stream:
            yield stream


class _Rows:
    """The rows of a file, counted as in errors: without the header and blank lines."""

    def __init__(self, file: _File) -> None:
        self._file = file
        self._row = -1

    def check(self, stream: IO[bytes], columns: Collection[str]) -> InputError | None:
        header: list[str] = []
        read: list[tuple[int, str]] = []
        for values in csv.reader(self._lines(stream), delimiter=self._file.delimiter):
            if not values:
                continue
            if values == [_END]:
                return None
            self._row += 1
            if any(_END in value for value in values):
                return self._error("a quote opens in this row and is never closed")
            if not self._row:
                header = [name.encode("latin-1").decode(errors="replace") for name in values]
                read = [(place, name) for place, name in enumerate(header) if name in columns]
            elif len(values) != len(header):
                return self._uneven(values, header)
            for place, name in read:
                if not values[place].isascii() and (error := self._not_utf8(name, values[place])):
                    return error
        return None

    def broken(self, error: Exception) -> InputError | None:
        """Return the error for an exception that was raised while reading the next row."""
        if isinstance(error, csv.Error):
            self._row += 1
            if _TOO_LONG not in str(error):
                return self._error(f"can't be read as CSV: {error}")
            return self._error(f"is longer than {_MAX_ROW} bytes: is a quote in it never closed?")
        if self._file.compression is None:
            return None
        name = self._file.compression
        if self._row < 1:
            state = f"can't be decompressed as {name} ({error}): does its name have the right ending?"
            return InputError(self._file.path, f"can't be read as CSV: {state}")
        short = isinstance(error, EOFError) or "runcated" in str(error)
        state = f"was cut short after row {self._row}"
        if not short:
            state = f"is damaged after row {self._row} ({error})"
        reason = f"can't be read as CSV: its {name} data {state}: copy it again"
        return InputError(self._file.path, reason)

    def _lines(self, stream: IO[bytes]) -> Iterator[str]:
        # Latin-1 keeps every byte. Keep line breaks too, since values may hold some.
        text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
        try:
            line = text.readline(_MAX_ROW).removeprefix("\xef\xbb\xbf")
            while line:
                if len(line) == _MAX_ROW:
                    raise csv.Error(_TOO_LONG)
                yield line
                line = text.readline(_MAX_ROW)
        finally:
            # Otherwise the wrapper would close the stream.
            text.detach()
        # This becomes a row of its own, unless a quote is still open.
        yield _END

    def _error(self, reason: str) -> InputError:
        # The header isn't a row.
        return InputError(self._file.path, reason, row=self._row or None)

    def _uneven(self, values: list[str], header: list[str]) -> InputError:
        width = len(header)
        shown = self._file.delimiter.join(values)
        shown = shown.encode("latin-1").decode(errors="replace")
        hint = "was it cut short?"
        if any("\n" in value for value in values):
            hint = "is a quote in it not closed?"
        elif width == 1 and (other := column_names.separator_in(self._file.path, header)):
            hint = other
        elif len(values) > width:
            hint = f"a value that holds {self._file.delimiter!r} needs quotes"
        cut = "..." if len(shown) > _SHOWN_CHARACTERS else ""
        count = f"{len(values)} value{'s' if len(values) > 1 else ''}"
        return self._error(
            f"has {count}, but the header names {width} column{'s' if width > 1 else ''}: "
            f"{shown[:_SHOWN_CHARACTERS]!r}{cut}; {hint}"
        )

    def _not_utf8(self, column: str, value: str) -> InputError | None:
        data = value.encode("latin-1")
        try:
            data.decode()
        except UnicodeDecodeError as error:
            what, hint = file_kinds.bad_byte(error), file_kinds.how_to_convert(error)
            return self._error(f"column {column} holds {what}: {hint}")
        return None
