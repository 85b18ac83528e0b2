"""Where a CSV file is wrong: rows are named in small files and in the last block that Arrow reads."""

import bz2
import contextlib
import csv
import gzip
import io
import re
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.files import csv_files, tables
from trainer.errors import InputError

HEADER = b"user_id,item_id,title\n"
GOOD = b'"u\n1",x,a\n\nv,"a ""b"", c",b\n'
GOOD_ROWS = 2
# More than Arrow reads at a time, which is 1 MiB.
LARGE = 40_000


THREE = ", but the header names 3 columns: "
NOT_UTF8 = [f" holds a byte 0x{byte} that isn't UTF-8" for byte in ("e9", "93")]
COMPRESS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    ".lz4": lambda data: pa.compress(data, codec="lz4", asbytes=True),
}


def numbered(rows):
    return HEADER + b"".join(b"u%d,x,a\n" % (row * row) for row in range(rows))


def read(path, data):
    path.write_bytes(data)
    return tables.read_table(path, required=["user_id", "item_id"], optional=[])


def refused(path, data):
    with pytest.raises(InputError) as caught:
        read(path, data)
    assert caught.value.path == path
    return caught.value


@pytest.mark.parametrize(("suffix", "repeats"), [("", 1), (".bz2", 1), ("", LARGE), (".gz", LARGE)])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"u,x\n", f"has 2 values{THREE}'u,x'; was it cut short?"),
        (b"u,x,a,b\n", f"has 4 values{THREE}'u,x,a,b'; a value that holds ',' needs quotes"),
        (b'u,"x,b\nc",d,e\n', f"has 4 values{THREE}'u,x,b\\nc,d,e'; is a quote in it not closed?"),
        (b"u,caf\xe9,a\n", f"column item_id{NOT_UTF8[0]}, in b'caf\\xe9': is the file Latin-1?"),
        (
            b"\x93u\x94,x,a\n",
            f"column user_id{NOT_UTF8[1]}, in b'\\x93u\\x94': is the file Windows-1252",
        ),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path, repeats, suffix, row, reason):
    before = HEADER + GOOD * repeats
    # The first of two that are wrong.
    data = before + row + b"w,y,z\n" + row
    error = refused(tmp_path / f"a.csv{suffix}", COMPRESS[suffix](data))
    assert error.row == repeats * GOOD_ROWS + 1
    assert error.reason.startswith(reason)


@pytest.mark.parametrize(
    "data",
    [b"user_id,item_id|u,x|v,\xe9|", b"user_id,item_id||u,x|v,\xe9", b"|user_id,item_id|u,x|\xe9,v"],
)
@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n"])
def test_rows_are_counted_whatever_ends_them(tmp_path, data, end):
    data = data.replace(b"|", end)
    assert refused(tmp_path / "a.csv", data).row == 2
    assert refused(tmp_path / "a.tsv", data.replace(b",", b"\t")).row == 2


# ---- quotes


@pytest.mark.parametrize(("repeats", "end"), [(1, b"u,x,a\n" * LARGE * 5), (LARGE, b"u,x,a\n" * 3)])
@pytest.mark.parametrize("row", [b'u,x,"a\n', b'u,"x,a\n', b'"u,x,a\n'])
def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path, repeats, row, end):
    """Arrow takes what follows for one value, of a column that isn't even read here."""
    error = refused(tmp_path / "a.csv", HEADER + GOOD * repeats + row + end)
    assert error.row == repeats * GOOD_ROWS + 1
    assert "is never closed" in error.reason or "is a quote in it never closed?" in error.reason


def test_a_row_without_an_end_is_named(tmp_path):
    long = b"x" * (3 << 20) + b",y,z\n"
    for end, reason in (
        (b'u,x,"the end', "a quote opens in this row and is never closed"),
        (long, "is longer than 1048576 bytes: is a quote in it never closed?"),
    ):
        error = refused(tmp_path / "a.csv", HEADER + GOOD + end)
        assert (error.row, error.reason) == (3, reason)


TITLES = (b'5" disk', b'"a "" b"', b'"a"b', b'""', b"caf\xe9")
BEGINNINGS = (b"ORCID", b"BZh", b"%PDF-", b"FEA1", b"ARROW1")


@pytest.mark.parametrize(
    "data",
    [
        *(HEADER + b"u,x," + title + b"\nv,y,z\n" for title in TITLES),
        *(name + b",user_id,item_id\n1,u,x\n2,v,y\n" for name in BEGINNINGS),
    ],
)
def test_values_may_hold_quotes_and_begin_as_other_files_or_not_be_utf8_where_unread(tmp_path, data):
    assert read(tmp_path / "a.csv", data).num_rows == 2


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=6), st.data())
def test_a_wrong_row_is_found_among_any_values(tmp_path_factory, rows, data):
    wrong = data.draw(st.integers(0, len(rows)))
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["user_id", "item_id"])
    writer.writerows([*rows[:wrong], ("cut",), *rows[wrong:]])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    assert refused(path, text.getvalue().encode()).row == wrong + 1


# ---- what isn't text in UTF-8


@pytest.mark.parametrize("suffix", [*COMPRESS][1:])
def test_a_compressed_file_that_was_cut_short_says_where(tmp_path, suffix):
    for repeats in (1, 2 * LARGE):
        error = refused(tmp_path / f"a.csv{suffix}", COMPRESS[suffix](numbered(repeats))[:-3])
        assert error.row is None
        assert error.reason.startswith("can't be read as CSV: ")
    assert re.search(r"data was cut short after row \d{2,}: copy it again$", error.reason)


def test_a_compressed_file_that_is_damaged_says_so(tmp_path):
    whole = bytearray(gzip.compress(numbered(LARGE)))
    whole[-6] ^= 0xFF
    error = refused(tmp_path / "a.csv.gz", whole)
    assert "its gzip data is damaged after row 40000 (CRC check failed" in error.reason
    whole[len(whole) // 2] ^= 0xFF
    assert "its gzip data is damaged" in refused(tmp_path / "a.csv.gz", whole).reason
    # Nor is what isn't compressed as its name says taken for text.
    reason = refused(tmp_path / "a.csv.gz", HEADER + GOOD).reason
    assert reason.startswith("can't be read as CSV: can't be decompressed as gzip")


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, "x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        *(
            ((HEADER + GOOD).decode().encode(name), f"{name.upper()}: convert it: iconv -f {name}")
            for name in ("utf-16", "utf-16le", "utf-16be", "utf-32")
        ),
        (gzip.compress(HEADER + GOOD, mtime=0), "compressed by gzip: rename it to end in .gz"),
        (bz2.compress(HEADER + GOOD), "compressed by bzip2: rename it to end in .bz2"),
        (archive("a.csv"), "a zip archive: unpack it"),
        (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (.xlsx): save it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64), "an old Excel workbook (.xls): save it"),
        (b"SQLite format 3\0" + bytes(64), "a SQLite database: read it by --interactions-sql"),
    ],
)
def test_what_a_file_holds_instead_of_csv_is_told(tmp_path, data, hint):
    prefix = "is neither CSV nor Parquet: it holds binary data: "
    reason = refused(tmp_path / "a.csv", data).reason
    assert reason.startswith(prefix)
    assert hint in reason
    reason = refused(tmp_path / "b.csv.gz", gzip.compress(data)).reason
    assert reason.startswith(f"{prefix}inside of gzip, it is ")
    reason = refused(tmp_path / "a.parquet.gz", gzip.compress(b"PAR1" + bytes(64))).reason
    assert "inside of gzip, it is Parquet: decompress it" in reason


# ---- headers


@pytest.mark.parametrize(
    ("name", "header", "hint"),
    [
        (
            "a.csv",
            "user_id;item_id;weight",
            "';' seems to separate the columns: separate them by ',', or",
        ),
        (
            "a.csv",
            "user_id\titem_id",
            "'\\t' seems to separate the columns: rename the file to end in .tsv",
        ),
        ("a.csv", '"user_id"|"item_id"', "'|' seems to separate the columns: separate them by ','"),
        (
            "a.tsv",
            "user_id,item_id",
            "',' seems to separate the columns: rename the file to end in .csv",
        ),
        ("a.tsv.gz", "user_id;item_id", "';' seems to separate the columns: separate them by tabs"),
        ("a.csv", "user_id, item_id", "rename ' item_id' to 'item_id'"),
        ("a.csv", "user_id,item_id\ufeff", r"rename 'item_id\ufeff' to 'item_id'"),
        ("a.csv", '[{"user_id": "u", "item_id": "x"}]', "it looks like JSON, but should be CSV"),
        ("a.csv", "<!DOCTYPE html>", "it looks like HTML or XML, but should be CSV"),
        ("a.csv", "sep=;", "the line 'sep=;' is for spreadsheets only: remove it"),
        ("a.csv", "196,242,3", "the header seems to be missing: add a first row"),
    ],
)
def test_a_header_without_the_columns_tells_why(tmp_path, name, header, hint):
    data = f"{header}\n{header}\n".encode()
    reason = refused(tmp_path / name, gzip.compress(data) if name.endswith(".gz") else data).reason
    assert " is missing; the columns are: " in reason
    assert hint in reason


def test_a_column_is_not_left_out_for_the_space_around_its_name(tmp_path):
    path = tmp_path / "a.csv"
    assert read(path, b"user_id,item_id, weight\nu,x,1\n").num_rows == 1
    with pytest.raises(InputError, match="column ' weight' would be ignored, since its name isn't"):
        tables.read_table(path, required=["user_id"], optional=["weight"])
    path.write_text("user_id,item_id, weight,weight\nu,x,1,2\n")
    assert tables.read_table(path, required=[], optional=["weight"])["weight"].to_pylist() == ["2"]


@pytest.mark.parametrize("damage", ["", "one value\n"])
def test_no_thread_reads_on_when_the_file_is_closed(tmp_path, monkeypatch, damage):
    # The descriptor is of another file by then: the reader of that misses what such a thread takes.
    late = []

    class Recorded(io.RawIOBase):
        def __init__(self, stream):
            self._stream = stream

        def readable(self):
            return True

        def read(self, size=-1):
            late.extend([size] * self.closed)
            return self._stream.read(size)

    real = pa.input_stream
    monkeypatch.setattr(csv_files.pa, "input_stream", lambda *_, **__: Recorded(real(*_, **__)))
    rows = "user,item\n" * 800_000
    for _ in range(10):
        with contextlib.suppress(InputError):
            read(tmp_path / "log.csv", f"user_id,item_id\n{damage}{rows}".encode())
    assert not late
