"""Open a text file as its layout says: decompressed, in UTF-8, with a separator of one byte."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, cast

import pyarrow as pa
import pyarrow.csv

from lightfm_retriever.files.regular_files import held_open, open_regular
from trainer.data.files.layout import REST, STRICT, UTF_8, Layout

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_READERS: dict[str | None, Callable[[BinaryIO], Any]] = {"gzip": gzip.open, "bz2": bz2.open}
# Public datasets use these endings for files with various separators.
_OF_ANY_SEPARATOR = (".dat", ".data")
UNNAMED = "\0column "
"""The beginning of the names of columns that a header leaves out."""

SNIFFED_BYTES = 1 << 16
"""How much of a file's start decides about its kind."""

ONE_BYTE = "\x1f"
"""The separator that replaces longer ones: the unit separator of ASCII, which texts don't hold."""

_BLOCK = 1 << 20


class Conversion:
    """Changes the bytes of a file, in order; each reading needs a new one.

    A byte that the encoding doesn't have stays as it is, so that it is no UTF-8 in the result.
    """

    def __init__(self, encoding: str, separator: str) -> None:
        is_utf8 = codecs.lookup(encoding).name == UTF_8
        self._decoder = None if is_utf8 else codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._long = separator.encode() if len(separator.encode()) > 1 else b""
        self._held = b""

    @property
    def changes_nothing(self) -> bool:
        """Whether the bytes stay as they are."""
        return self._decoder is None and not self._long

    def convert(self, data: bytes, *, is_last: bool) -> bytes:
        """Convert the next bytes; raises UnicodeDecodeError for bytes that can't be in the encoding."""
        if self._decoder is not None:
            text = self._decoder.decode(data, is_last)
            data = text.encode("utf-8", "surrogateescape")
        if not self._long:
            return data
        data = (self._held + data).replace(self._long, ONE_BYTE.encode())
        # The rest of a separator may come with the next bytes.
        held = 0
        if not is_last:
            lengths = range(len(self._long) - 1, 0, -1)
            held = next((own for own in lengths if data.endswith(self._long[:own])), 0)
        self._held = data[len(data) - held :]
        return data[: len(data) - held]


class TextStream(io.RawIOBase):
    """A converted stream that counts quotes, and that one thread may close while another reads.

    Arrow reads ahead in a thread, which continues after a reader was closed or failed. By then the
    descriptor may belong to another file, and the thread would steal data from its reader.
    """

    def __init__(self, stream: Any, conversion: Conversion) -> None:
        self._stream = stream
        self._read1 = getattr(stream, "read1", stream.read)
        self._conversion = conversion
        self._lock = threading.Lock()
        self._ready = b""
        self._is_at_end = False
        self._failure: Exception | None = None
        self.quotes = 0

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or fewer at the end only."""
        return self._read(size, self._stream.read)

    def read1(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; before a damaged part, those that can be read."""
        return self._read(size, self._read1)

    def _read(self, size: int, read: Callable[[int], bytes]) -> bytes:
        with self._lock:
            if self.closed:
                return b""
            if self._conversion.changes_nothing:
                data = read(size)
            else:
                self._fill(size)
                # A reader has no space for more than it asked for.
                end = len(self._ready) if size < 0 else size
                data, self._ready = self._ready[:end], self._ready[end:]
        self.quotes += data.count(b'"')
        return data

    def close(self) -> None:
        """See io.RawIOBase."""
        with self._lock:
            super().close()
            self._stream.close()

    def _fill(self, size: int) -> None:
        """Convert until there are `size` bytes, or all if it is below 0."""
        parts, length = [self._ready], len(self._ready)
        while (length < size or size < 0) and not self._is_at_end and self._failure is None:
            try:
                raw = self._read1(_BLOCK)
                self._is_at_end = not raw
                parts.append(self._conversion.convert(raw, is_last=self._is_at_end))
            except Exception as error:
                # Everything before it can be read.
                self._failure = error
                break
            length += len(parts[-1])
        self._ready = b"".join(parts)
        if self._failure is not None and not self._ready:
            raise self._failure


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
        self.delimiter = ONE_BYTE if is_long else self.separator
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
        if "::" in line:
            return "::"
        most = max("\t;|", key=line.count)
        return most if most in line else ","
