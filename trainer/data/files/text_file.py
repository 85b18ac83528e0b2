"""Open a text file as its layout says: decompressed, in UTF-8, with a separator of one byte."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, cast

import pyarrow as pa
import pyarrow.csv

from lightfm_retriever.files.regular_files import held_open, open_regular
from trainer.data.files import text_streams
from trainer.data.files.layout import REST, STRICT, Layout
from trainer.data.files.text_streams import Conversion, TextStream

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_READERS: dict[str | None, Callable[[BinaryIO], Any]] = {"gzip": gzip.open, "bz2": bz2.open}
# Public datasets use these endings for files with various separators.
_OF_ANY_SEPARATOR = (".dat", ".data")
UNNAMED = "\0column "
"""The beginning of the names of columns that a header leaves out."""

SNIFFED_BYTES = 1 << 16
"""How much of a file's start decides about its kind."""


class TextFile:
    """A text file, its layout, and how it is written.

    Attributes:
        compression: "gzip", "bz2", "zstd", "lz4" or None.
        separator: of the columns in the file.
        delimiter: the character that separates the columns after the conversion to UTF-8.
        has_quotes: whether a quote has a meaning.
    """

    def __init__(self, path: Path, layout: Layout = STRICT) -> None:
        self.path = path
        self.layout = layout
        self.compression = _COMPRESSIONS.get(path.suffix)
        kind = path.suffix if self.compression is None else Path(path.stem).suffix
        self.separator = layout.separator or ("\t" if kind == ".tsv" else ",")
        if layout.separator is None and kind in _OF_ANY_SEPARATOR:
            self.separator = self._of_first_line()
        is_long = len(self.separator.encode()) > 1
        self.delimiter = text_streams.ONE_BYTE if is_long else self.separator
        self.has_quotes = not is_long

    @contextmanager
    def opened(self) -> Iterator[TextStream]:
        """Open the decompressed content, converted to UTF-8."""
        with (
            held_open(self.path) as name,
            TextStream(
                pa.input_stream(name, compression=self.compression), self._conversion()
            ) as stream,
        ):
            yield stream

    @contextmanager
    def opened_to_damage(self) -> Iterator[TextStream]:
        """Do the same as `opened`, but so that everything before a damaged part can be read."""
        if self.compression not in _READERS:
            with self.opened() as stream:
                yield stream
            return
        with (
            open_regular(self.path) as opened,
            _READERS[self.compression](opened) as raw,
            TextStream(raw, self._conversion()) as stream,
        ):
            yield stream

    def start(self, size: int) -> bytes:
        """Return the first bytes of the decompressed content, as they are."""
        with (
            held_open(self.path) as name,
            pa.input_stream(name, compression=self.compression) as stream,
        ):
            read: bytes = stream.read(size)
        return read

    def parsing(self) -> pa.csv.ParseOptions:
        """Return how Arrow reads the rows."""
        return pa.csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char='"' if self.has_quotes else False,
            escape_char="\\" if self.layout.escaped_quotes else False,
            newlines_in_values=self.has_quotes,
        )

    def rows_of(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Parse lines as Arrow does."""
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.has_quotes else csv.QUOTE_NONE
        escape = "\\" if self.layout.escaped_quotes else None
        return csv.reader(lines, delimiter=self.delimiter, quoting=quoting, escapechar=escape)

    def names_of(self, width: int = 0) -> list[str]:
        """Return the names of the layout's header for rows of this width.

        [] if the file has a header itself, or if the width isn't known but needed.
        """
        header = list(self.layout.header)
        if header and header[-1] == REST:
            if not width:
                return []
            header[-1:] = [""] * (width - len(header) + 1)
        return [name or f"{UNNAMED}{place}" for place, name in enumerate(header)]

    def width(self) -> int:
        """Return the number of values in the first row; 0 if there is none."""
        with self.opened() as stream:
            text = io.TextIOWrapper(cast("IO[bytes]", stream), encoding="latin-1", newline="")
            try:
                return next((len(own) for own in self.rows_of(text) if own), 0)
            finally:
                text.detach()

    def _conversion(self) -> Conversion:
        return Conversion(self.layout.encoding, self.separator)

    def _of_first_line(self) -> str:
        try:
            line = self.start(SNIFFED_BYTES).partition(b"\n")[0].decode(errors="replace")
        except (pa.ArrowException, OSError):
            return ","
        return "::" if "::" in line else max(",\t;|", key=line.count)
