"""The texts of flags about one file are read, written and refused."""

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.files import layout
from trainer.errors import OptionError

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_written_header_is_read_again(names):
    assert layout.header_of(layout.written(names)) == names


@given(st.dictionaries(st.sampled_from(["user_id", "weight"]), NAMES, min_size=1))
def test_written_columns_are_read_again(columns):
    text = layout.written([f"{name}={column}" for name, column in columns.items()])
    assert layout.columns_of(text) == columns


@pytest.mark.parametrize("text", ["user_id", "=a", "user_id=a,user_id=b"])
def test_columns_without_a_name_or_twice_are_refused(text):
    with pytest.raises(ArgumentTypeError):
        layout.columns_of(text)


def test_a_column_may_be_left_out_or_hold_a_comma():
    assert layout.columns_of('weight=,"user_id=a, b"') == {"weight": "", "user_id": "a, b"}


@pytest.mark.parametrize("text", ["\\t", "tab", "\t"])
def test_a_tab_can_be_spelled(text):
    assert layout.separator_of(text) == "\t"
    assert layout.separator_of(layout.shown_separator("\t")) == "\t"


@pytest.mark.parametrize("separator", ["", "a", "1", '"', "\n", "\\", ":" * 9])
def test_what_can_not_separate_is_refused(separator):
    with pytest.raises(OptionError, match="--separator"):
        layout.check_separator("--separator", separator)


@pytest.mark.parametrize(
    "encoding", ["klingon", "base64", "rot13", "idna", "punycode", "unicode_escape", "utf-7", ""]
)
def test_an_encoding_of_no_text_is_refused(encoding):
    with pytest.raises(OptionError, match="should be an encoding of text"):
        layout.check_encoding("--encoding", encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "utf-16", "shift_jis", "UTF8"])
def test_encodings_of_text_are_accepted(encoding):
    layout.check_encoding("--encoding", encoding)


@pytest.mark.parametrize("header", [["", ""], ["a", "a"], ["...", "a"], ["..."]])
def test_a_header_without_sense_is_refused(header):
    with pytest.raises(OptionError, match="--header"):
        layout.check_header("--header", header)
