"""Text files of any encoding and separator become UTF-8 with a separator of one byte."""

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.files import tables
from trainer.data.files.layout import Layout
from trainer.data.files.text_file import ONE_BYTE, Conversion, TextFile, TextStream
from trainer.errors import InputError, OptionError

LONG = ("::", "||", "<>", ":::", "~|~", "§")


@given(
    st.text(st.sampled_from("a:|<>~§é\n"), max_size=40),
    st.sampled_from([*LONG, ";"]),
    st.sampled_from(["utf-8", "latin-1", "utf-16", "cp1252"]),
    st.integers(1, 9),
)
def test_a_conversion_in_pieces_is_that_of_the_whole(text, separator, encoding, size):
    data = text.encode(encoding)
    conversion = Conversion(encoding, separator)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    made = [conversion.convert(piece, is_last=False) for piece in pieces]
    made.append(conversion.convert(b"", is_last=True))
    expected = text if separator == ";" else text.replace(separator, ONE_BYTE)
    assert b"".join(made).decode() == expected


@given(st.text(max_size=30), st.lists(st.integers(1, 12)))
def test_a_stream_never_returns_more_than_was_asked_for(text, sizes):
    stream = TextStream(io.BytesIO(text.encode("utf-16")), Conversion("utf-16", "::"))
    found = []
    for size in [*sizes, *[7] * 40]:
        found.append(stream.read(size))
        assert len(found[-1]) <= size
    assert b"".join(found).decode() == text.replace("::", ONE_BYTE)


@pytest.mark.parametrize("separator", [*LONG, ";", "\t", "|", " "])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_table_is_read_by_any_separator_and_encoding(tmp_path, separator, encoding):
    path = tmp_path / "a.csv.gz"
    text = "".join(f"{separator.join(row)}\r\n" for row in (("user_id", "b"), ("ü1", "x"), ("u2", "y")))
    path.write_bytes(gzip.compress(text.encode(encoding)))
    layout = Layout(separator=separator, encoding=encoding)
    table = tables.read_table(path, required=["user_id"], layout=layout)
    assert table.to_pydict() == {"user_id": ["ü1", "u2"], "b": ["x", "y"]}


def test_a_header_names_the_columns_of_a_file_that_has_none(tmp_path):
    path = tmp_path / "u.data"
    path.write_text("1\t10\t3\n2\t20\t4\n")
    layout = Layout(header=("user_id", "", "weight"))
    assert tables.read_table(
        path, required=["user_id", "weight"], optional=[], layout=layout
    ).to_pydict() == {
        "user_id": ["1", "2"],
        "weight": ["3", "4"],
    }
    rest = Layout(header=("user_id", "..."))
    assert tables.read_table(path, required=["user_id"], optional=[], layout=rest).num_rows == 2
    for header, hint in ((("a", "b"), "2 columns: '1"), (("a", "b", "c", "d"), "4 columns: '1")):
        with pytest.raises(InputError, match=hint) as caught:
            tables.read_table(path, required=["a"], layout=Layout(header=header))
        assert caught.value.row == 1
        assert caught.value.reason.endswith("name all columns, or end the header with '...'")


@pytest.mark.parametrize(
    ("line", "separator"),
    [("1::2::3", "::"), ("1\t2,3", "\t"), ("1;2;3", ";"), ("1|2|3,4", "|"), ("1,2", ","), ("1", ",")],
)
def test_a_dat_file_has_the_separator_of_its_first_line(tmp_path, line, separator):
    path = tmp_path / "a.dat"
    path.write_text(f"{line}\n")
    assert TextFile(path).separator == separator
    assert TextFile(path, Layout(separator="~")).separator == "~"
    assert TextFile(path.with_suffix(".csv")).separator == ","


def test_a_quote_has_no_meaning_with_a_long_separator(tmp_path):
    path = tmp_path / "movies.dat"
    path.write_text('1::"Great", he said\n2::5" disk\n3::"\n')
    table = tables.read_table(path, required=["title"], layout=Layout(header=("id", "title")))
    assert table["title"].to_pylist() == ['"Great", he said', '5" disk', '"']


def test_a_backslash_escapes_a_quote_only_by_request(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id;title\n1;"a \\"b\\"; c"\n2;"d"\n')
    layout = Layout(separator=";", escaped_quotes=True)
    assert tables.read_table(path, required=["title"], layout=layout)["title"].to_pylist() == [
        'a "b"; c',
        "d",
    ]
    with pytest.raises(InputError, match="row 1: has 3 values"):
        tables.read_table(path, required=["title"], layout=Layout(separator=";"))


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_byte_that_the_encoding_does_not_have_is_named(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes(b"user_id,item_id\nu,1\nv\x81,2\n")
    layout = Layout(encoding=encoding, flags="--")
    with pytest.raises(InputError, match="column user_id holds a byte 0x81 that isn't") as caught:
        tables.read_table(path, required=["user_id"], layout=layout)
    assert caught.value.row == 2
    assert ("--encoding" in caught.value.reason) == (encoding == "utf-8")


def test_a_wrong_encoding_of_the_whole_file_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"user_id,item_id\nu,1\n")
    with pytest.raises(InputError, match="isn't text in utf-32"):
        tables.read_table(path, required=["user_id"], layout=Layout(encoding="utf-32"))


def test_options_of_text_files_are_refused_for_others(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"user_id": 1}\n')
    layout = Layout(encoding="latin-1", flags="--item-")
    with pytest.raises(OptionError, match=f"--item-encoding is 'latin-1', .* left out: {path} is JSON"):
        tables.read_table(path, required=["user_id"], layout=layout)
