"""Where in a CSV file something is wrong, which Arrow doesn't say.

This is a second, slower reading, of a file that Arrow has failed to read. It takes the memory of a row.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trainer.data.files import column_names, file_kinds
from trainer.errors import InputError

MAX_ROW = 1 << 20
"""Characters of the longest row, which is what Arrow reads in one go."""

_SHOWN_CHARACTERS = 60
_READ_BYTES = 1 << 20
# A part of what the module says of a value that is too long.
_TOO_LONG = "field limit"
_END = "\0end of the file"
_DAMAGED = (OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written.

    Attributes:
        delimiter: between the columns.
        compression: "gzip", "bz2", "zstd", "lz4", or None.
    """

    delimiter: str
    compression: str | None


def find(path: Path, stream: IO[bytes], form: CsvFormat, columns: Collection[str]) -> InputError | None:
    """The first row that is wrong.

    Args:
        path: what the error names.
        stream: the file from its start, decompressed. What it raises of a damaged file is told of.
        form: how it is written.
        columns: the names of those that are read. The others may be of any encoding.

    Returns:
        An error that names the row, or None when nothing is wrong with any. A row is wrong when it has
        more or fewer values than the header, when one that is read isn't UTF-8, when a quote is opened
        in it and never closed, or when it is longer than Arrow reads. A file that is damaged is wrong
        from the row on that can't be decompressed.
    """
    # It is a setting of the whole process.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW))
    rows = _Rows(path, form)
    try:
        found = rows.check(stream, columns)
        # What a damaged part is decompressed to may be wrong long before its checksum is.
        while found is not None and form.compression is not None and stream.read(_READ_BYTES):
            pass
    except (*_DAMAGED, csv.Error) as error:
        return rows.broken(error)
    return found


class _Rows:
    """The rows of a file, counted as errors count them: without the header and blank lines."""

    def __init__(self, path: Path, form: CsvFormat) -> None:
        self._path = path
        self._form = form
        self._row = -1

    def check(self, stream: IO[bytes], columns: Collection[str]) -> InputError | None:
        header: list[str] = []
        read: list[tuple[int, str]] = []
        for values in csv.reader(self._lines(stream), delimiter=self._form.delimiter):
            if not values:
                continue
            if values == [_END]:
                return None
            self._row += 1
            if any(_END in value for value in values):
                return self._error("a quote begins in this row that is never closed")
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
        """What an exception while reading says of the row after the last."""
        if isinstance(error, csv.Error):
            self._row += 1
            if _TOO_LONG not in str(error):
                return self._error(f"can't be read as CSV: {error}")
            return self._error(f"is longer than {MAX_ROW} bytes: is a quote in it never closed?")
        if self._form.compression is None:
            return None
        name = self._form.compression
        if self._row < 1:
            state = f"can't be decompressed as {name} ({error}): is it what its name says?"
            return InputError(self._path, f"can't be read as CSV: {state}")
        short = isinstance(error, EOFError) or "runcated" in str(error)
        state = f"was cut short after row {self._row}"
        if not short:
            state = f"is damaged, which shows after row {self._row} ({error})"
        reason = f"can't be read as CSV: its {name} data {state}: copy it again"
        return InputError(self._path, reason)

    def _lines(self, stream: IO[bytes]) -> Iterator[str]:
        # Latin-1 keeps every byte as it is. Line breaks are kept too, for values that hold some.
        text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
        try:
            line = text.readline(MAX_ROW).removeprefix("\xef\xbb\xbf")
            while line:
                if len(line) == MAX_ROW:
                    raise csv.Error(_TOO_LONG)
                yield line
                line = text.readline(MAX_ROW)
        finally:
            # Else the stream is closed with it.
            text.detach()
        # A row of its own, unless a quote is still open.
        yield _END

    def _error(self, reason: str) -> InputError:
        # The header is no row.
        return InputError(self._path, reason, row=self._row or None)

    def _uneven(self, values: list[str], header: list[str]) -> InputError:
        width = len(header)
        shown = self._form.delimiter.join(values)
        shown = shown.encode("latin-1").decode(errors="replace")
        hint = "was it cut short?"
        if any("\n" in value for value in values):
            hint = "is a quote in it not closed?"
        elif width == 1 and (other := column_names.separator_in(self._path, header)):
            hint = other
        elif len(values) > width:
            hint = f"a value that holds {self._form.delimiter!r} needs quotes"
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
