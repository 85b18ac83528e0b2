"""How a text file is written is found out from its content."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.files.layout import Layout
from trainer.inspection.sniffing import sniff

ROWS = [["userId", "title", "rating"], *([f"{row}", f"Café, the {row}", "3.5"] for row in range(40))]


def written(separator, *, header=True):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(ROWS[not header :])
    return text.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("header", [True, False])
def test_separator_encoding_and_header_are_found(tmp_path, separator, encoding, header):
    path = tmp_path / "a.csv"
    path.write_bytes(written(separator, header=header).encode(encoding))
    found = sniff(path, Layout())
    assert (found.separator, found.has_header) == (separator, header)
    assert found.layout == Layout(separator=None if separator == "," else separator, encoding=encoding)
    assert found.rows == ROWS[not header :]


def test_a_byte_far_behind_decides_about_the_encoding(tmp_path):
    path = tmp_path / "a.csv"
    lines = b"user,item\n" + b"u,i\n" * 3_000_000
    for end, encoding in ((b"\x93a\x94,b\n", "cp1252"), (b"\xe9,b\n", "latin-1"), (b"u,v\n", "utf-8")):
        path.write_bytes(lines + end)
        assert sniff(path, Layout()).layout.encoding == encoding


def test_what_is_given_is_taken_as_it_is(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("é;a|b\n1;2|3\n".encode("cp1252"))
    found = sniff(path, Layout(separator="|", encoding="latin-1"))
    assert (found.separator, found.layout.encoding) == ("|", "latin-1")


@pytest.mark.parametrize(
    ("content", "escaped"),
    [
        ('id;title\n1;"a \\"b\\"; c"\n2;"d"\n', True),
        # A value that ends with a backslash.
        ('id;title\n1;"C:\\"\n2;"D:\\"\n', False),
        ('id;title\n1;"a"\n', False),
    ],
)
def test_escaped_quotes_are_told_from_backslashes(tmp_path, content, escaped):
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert sniff(path, Layout()).layout.escaped_quotes is escaped


@pytest.mark.parametrize(
    ("content", "has_header"),
    [
        ("alice,tea\nbob,coffee\nalice,coffee\n", False),
        ("who,drink\nalice,tea\nbob,tea\n", True),
        ("a,b\n1,2\n3,4\n", True),
        ("1,2\n3,4\n", False),
        ("user_id,item_id\n", True),
        ("A1,B1,5.0\n", False),
    ],
)
def test_a_header_is_told_from_values(tmp_path, content, has_header):
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert sniff(path, Layout()).has_header is has_header


@given(st.binary(max_size=200))
def test_any_bytes_can_be_looked_at(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    assert sniff(path, Layout()).separator
