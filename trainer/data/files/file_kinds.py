"""Recognise files that aren't text by their first bytes, and say how to convert them."""

from __future__ import annotations

import codecs
from pathlib import Path

from lightfm_retriever.files.regular_files import read_regular
from trainer.errors import InputError

PARQUET_MAGIC = b"PAR1"

_COMPRESSED = {
    b"\x1f\x8b": ("gzip", ".gz"),
    b"BZh": ("bzip2", ".bz2"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", ".zst"),
    b"\x04\x22\x4d\x18": ("LZ4", ".lz4"),
}
_AS_CSV = "save it as CSV in that program"
_CONTAINERS = {
    b"PK\x03\x04": ("a zip archive", "unpack it"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Excel workbook (.xls)", _AS_CSV),
    b"\xfd7zXZ\0": ("xz", "decompress it"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it"),
    b"ARROW1": ("Arrow or Feather", "write it as Parquet"),
    b"FEA1": ("Feather", "write it as Parquet"),
    b"ORC": ("ORC", "write it as Parquet"),
    b"Obj\x01": ("Avro", "write it as Parquet"),
    b"\x93NUMPY": ("a NumPy array", "write it as Parquet"),
    b"\x89HDF": ("HDF5", "write it as Parquet"),
    b"%PDF-": ("a PDF", _AS_CSV),
    b"SQLite format 3\0": ("a SQLite database", "read it by --interactions-sql"),
}
_IN_ZIP = {
    b"xl/": ("an Excel workbook (.xlsx)", _AS_CSV),
    b"mimetypeapplication/vnd.oasis": ("an OpenDocument file", _AS_CSV),
}
# The order matters: a byte order mark of UTF-32 begins like one of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HEAD_BYTES = 64
# A shorter file has too few zeros for a decision: it may be a single id.
_LEAST_WIDE_BYTES = 8
_AROUND_BYTES = 30
_MOST = 0.8


def problem(start: bytes, *, by_name: bool, flags: str = "") -> str | None:
    """Say why a file isn't text in UTF-8, with advice; None if it may be.

    Args:
        start: the first bytes of the file.
        by_name: whether a file with the right ending would be decompressed.
        flags: the beginning of the flags for this file; "" if it has none.
    """
    if b"\0" not in start and _is_utf8(start):
        # Text may begin like any of these formats.
        return None
    for magic, (name, suffix) in _COMPRESSED.items():
        if start.startswith(magic):
            remedy = f"rename it to end in {suffix}" if by_name else "decompress it"
            return f"it is compressed by {name}: {remedy}"
    for magic, (name, remedy) in _CONTAINERS.items():
        if start.startswith(magic):
            if magic.startswith(b"PK"):
                inside = (own for mark, own in _IN_ZIP.items() if mark in start)
                name, remedy = next(inside, (name, remedy))
            return f"it is {name}: {remedy}"
    if encoding := wide_encoding(start):
        return f"it is text in {encoding.upper()}: {_remedy(encoding, flags)}"
    return None


def bad_byte(error: UnicodeDecodeError, encoding: str = "UTF-8") -> str:
    """Describe the byte that isn't in the encoding, with the text around it."""
    start, data = error.start, error.object
    around = data[max(0, start - _AROUND_BYTES) : start + _AROUND_BYTES]
    return f"a byte 0x{data[start]:02x} that isn't {encoding}, in {around!r}"


def how_to_convert(error: UnicodeDecodeError, *, flags: str = "") -> str:
    """Say how to read or convert a text file in its likely encoding; `flags` as in `problem`."""
    # Below 0xA0, Latin-1 has control characters, and Windows-1252 has letters and quotes.
    is_latin = error.object[error.start] >= 0xA0
    name, encoding = ("Latin-1", "latin1") if is_latin else ("Windows-1252", "cp1252")
    remedy = _remedy(encoding, flags)
    return f"is the file {name}? {remedy[0].upper()}{remedy[1:]}"


def _remedy(encoding: str, flags: str) -> str:
    conversion = f"convert it: iconv -f {encoding} -t utf-8 OLD > NEW"
    return f"give {flags}encoding {encoding}, or {conversion}" if flags else conversion


def _is_utf8(start: bytes) -> bool:
    try:
        # The last character may be incomplete.
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def wide_encoding(start: bytes) -> str | None:
    """Recognise UTF-16 or UTF-32 by its byte order mark, or by the zeros in an ASCII header."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    head = start[:_HEAD_BYTES]
    if len(head) < _LEAST_WIDE_BYTES:
        return None
    even, odd = head[::2], head[1::2]
    for zeros, others, encoding in ((odd, even, "utf-16le"), (even, odd, "utf-16be")):
        if zeros and zeros.count(0) >= _MOST * len(zeros) and not others.count(0):
            return encoding
    return None


def start_of(path: Path) -> bytes:
    """Read the first len(PARQUET_MAGIC) bytes of a file; raises InputError if it can't be read."""
    try:
        return read_regular(path, max_bytes=len(PARQUET_MAGIC))
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from error
