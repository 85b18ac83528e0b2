"""Read a CSV file row by row: to name its first wrong row, or to leave wrong rows out."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO, cast

import pyarrow as pa

from trainer.data.files import column_names, file_kinds
from trainer.data.files.layout import UTF_8
from trainer.data.files.text_file import TextFile, TextStream
from trainer.errors import InputError

# The longest row in characters: the block size of Arrow.
_MAX_ROW = 1 << 20
_READ_BYTES = 1 << 20
_SHOWN_CHARACTERS = 60
_BATCH_ROWS = 100_000
# A part of the message of module csv for a value that is too long.
_TOO_LONG = "field limit"
_END = "\0end of the file"
_DAMAGED = (OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class WrongRow:
    """A row that was left out: its number, counted from 1 without the header, and its text."""

    row: int
    reason: str
    text: str


def first_wrong(file: TextFile, columns: Collection[str]) -> InputError | None:
    """Return an error that names the first wrong row; None if no row is wrong.

    A row is wrong if it has more or fewer values than the header, or if it is longer than Arrow reads.
    It is also wrong if a wanted value isn't UTF-8, or if a quote in it is never closed. A damaged file
    is wrong from the row on that can't be decompressed.
    """
    rows = _Rows(file)
    try:
        with file.opened_to_damage() as stream:
            try:
                found = next((own for _, own in rows.checked(stream, columns) if own is not None), None)
                # Damaged data may decompress to wrong text first and fail its checksum later.
                while found is not None and file.compression is not None and stream.read(_READ_BYTES):
                    pass
            except (*_DAMAGED, csv.Error) as error:
                return rows.broken(error)
            return found
    except OSError:
        # The file can't be opened. Arrow's error says more.
        return None


def read_right(
    file: TextFile, names: list[str], columns: list[str]
) -> tuple[pa.Table, list[int], list[WrongRow]]:
    """Read columns of all rows that aren't wrong, as `first_wrong` defines it, in Python.

    Args:
        file: the file.
        names: all its columns.
        columns: the columns to read.

    Returns:
        The table of text, the numbers of its rows in the file, and the wrong rows.

    Raises:
        InputError: the file is damaged, or the rest of it is one row, because a quote is never closed.
    """
    places = [names.index(name) for name in columns]
    schema = pa.schema([(name, pa.string()) for name in columns])
    batches: list[pa.RecordBatch] = []
    good: list[list[str]] = []
    kept: list[int] = []
    wrong: list[WrongRow] = []
    rows = _Rows(file)

    def end_batch() -> None:
        texts = ([values[place].encode("latin-1").decode() for values in good] for place in places)
        batches.append(pa.record_batch([pa.array(own, pa.string()) for own in texts], schema))
        good.clear()

    with file.opened_to_damage() as stream:
        try:
            for values, error in rows.checked(stream, columns):
                if error is None:
                    good.append(values)
                    kept.append(rows.row)
                elif not error.row or values == []:
                    raise error
                else:
                    text = file.separator.join(values).encode("latin-1").decode(errors="replace")
                    wrong.append(WrongRow(error.row, error.reason, text))
                if len(good) == _BATCH_ROWS:
                    end_batch()
        except (*_DAMAGED, csv.Error) as error:
            raise rows.broken(error) or InputError(file.path, str(error)) from error
    end_batch()
    return pa.Table.from_batches(batches, schema), kept, wrong


def count_wrong(file: TextFile) -> int:
    """Count the rows with more or fewer values than the header; all of them if a quote never ends."""
    rows, wrong = _Rows(file), 0
    try:
        with file.opened_to_damage() as stream:
            for values, error in rows.checked(stream, ()):
                wrong += error is not None
                if not values:
                    return rows.row + 1
    except (*_DAMAGED, csv.Error):
        return rows.row + 1
    return wrong


class _Rows:
    """The rows of a file, counted as in errors: without the header and blank lines."""

    def __init__(self, file: TextFile) -> None:
        # The limit holds for the whole process, so only raise it.
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_ROW))
        self._file = file
        self.row = 0 if file.layout.header else -1

    def checked(
        self, stream: TextStream, columns: Collection[str]
    ) -> Iterator[tuple[list[str], InputError | None]]:
        """Yield the values of each row as Latin-1, and its error if it is wrong.

        A row without values and with an error has no end.
        """
        header = self._file.names_of()
        read = _places(header, columns)
        for values in self._file.rows_of(self._lines(stream)):
            if not values:
                continue
            if values == [_END]:
                return
            self.row += 1
            if any(_END in value for value in values):
                yield [], self._error("a quote opens in this row and is never closed")
                return
            if not header:
                header = self._header(values)
                read = _places(header, columns)
            error = self._error_of(values, header, read)
            if self.row or error is not None:
                yield values, error

    def broken(self, error: Exception) -> InputError | None:
        """Return the error for an exception that was raised while reading the next row."""
        if isinstance(error, csv.Error):
            self.row += 1
            if _TOO_LONG not in str(error):
                return self._error(f"can't be read as CSV: {error}")
            return self._error(f"is longer than {_MAX_ROW} bytes: is a quote in it never closed?")
        if self._file.compression is None:
            return None
        name = self._file.compression
        if self.row < 1:
            state = f"can't be decompressed as {name} ({error}): does its name have the right ending?"
            return InputError(self._file.path, f"can't be read as CSV: {state}")
        short = isinstance(error, EOFError) or "runcated" in str(error)
        state = f"was cut short after row {self.row}"
        if not short:
            state = f"is damaged after row {self.row} ({error})"
        reason = f"can't be read as CSV: its {name} data {state}: copy it again"
        return InputError(self._file.path, reason)

    def _header(self, values: list[str]) -> list[str]:
        """Return the names of the columns by the first row."""
        if self.row:
            # Only the layout has names, and it leaves out the further columns.
            return self._file.names_of(len(values))
        return [name.encode("latin-1").decode(errors="replace") for name in values]

    def _error_of(
        self, values: list[str], header: list[str], read: list[tuple[int, str]]
    ) -> InputError | None:
        if len(values) != len(header):
            return self._uneven(values, header)
        for place, name in read:
            if not values[place].isascii() and (error := self._not_utf8(name, values[place])):
                return error
        return None

    def _lines(self, stream: TextStream) -> Iterator[str]:
        # Latin-1 keeps every byte. Keep line breaks too, since values may hold some.
        text = io.TextIOWrapper(cast("IO[bytes]", stream), encoding="latin-1", newline="")
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
        return InputError(self._file.path, reason, row=self.row or None)

    def _uneven(self, values: list[str], header: list[str]) -> InputError:
        width, file = len(header), self._file
        shown = file.separator.join(values)
        shown = shown.encode("latin-1").decode(errors="replace")
        hint = "was it cut short?"
        if any("\n" in value for value in values):
            hint = "is a quote in it not closed?"
        elif width == 1 and (
            other := column_names.separator_in(file.path, header, flags=file.layout.flags)
        ):
            hint = other
        elif len(values) > width:
            hint = f"a value that holds {file.separator!r} needs quotes"
            if not file.has_quotes:
                hint = f"a value can't hold {file.separator!r}"
        if file.layout.header and self.row == 1:
            hint = "name all columns, or end the header with '...'"
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
            encoding = self._file.layout.encoding
            if encoding != UTF_8:
                return self._error(f"column {column} holds {file_kinds.bad_byte(error, encoding)}")
            hint = file_kinds.how_to_convert(error, flags=self._file.layout.flags)
            return self._error(f"column {column} holds {file_kinds.bad_byte(error)}: {hint}")
        return None


def _places(header: list[str], columns: Collection[str]) -> list[tuple[int, str]]:
    return [(place, name) for place, name in enumerate(header) if name in columns]
