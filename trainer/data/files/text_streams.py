"""Convert the bytes of a text file to UTF-8 with a separator of one byte, as Arrow reads them."""

from __future__ import annotations

import codecs
import io
import threading
from collections.abc import Callable
from typing import Any

from trainer.data.files.layout import UTF_8

ONE_BYTE = "\x1f"
"""The separator that replaces longer ones: the unit separator of ASCII, which texts don't hold."""

_BLOCK = 1 << 20


class Conversion:
    """What has to be changed in the bytes of a file, in order; use one for each reading.

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
