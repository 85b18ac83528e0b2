"""Columns of an items file as attributes: which kind they are, which values, and what is refused."""

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.attributes import MAX_VALUE_BYTES, NumberColumn, TextColumn
from trainer.data import item_attributes
from trainer.data.item_attributes import WantedColumn, parse
from trainer.errors import InputError, OptionError
from trainer.spec import DataSpec

PATH = Path("items.csv")


def read(values, given="g", *, separator="|"):
    """What is made of a column: numbers, None for none, or lists of texts; and what is said of it."""
    table = pa.table({"g": values})
    [column], told = item_attributes.read(PATH, table, parse([given]), separator=separator)
    assert column.name == "g"
    if isinstance(column, TextColumn):
        return [[*own] for own in column.values], told
    assert (type(column), column.values.dtype) == (NumberColumn, np.float64)
    return [None if np.isnan(value) else value for value in column.values.tolist()], told


def test_a_column_is_given_by_name_and_perhaps_kind():
    # One is called as a kind is given.
    assert parse(["genres", "year:number", "a:b", "number:number:text", "c:None"]) == [
        WantedColumn("genres", None),
        WantedColumn("year", "number"),
        WantedColumn("a:b", None),
        WantedColumn("number:number", "text"),
        WantedColumn("c:None", None),
    ]


@pytest.mark.parametrize(
    ("names", "value", "expected"),
    [
        ([""], "", "the name of a column, or NAME:text or NAME:number"),
        (["title:text"], "title:text", "another column: titles are published anyway"),
        (["a:number", "a:text"], "a:text", "given once"),
    ],
)
def test_names_that_cannot_be_used_are_named(names, value, expected):
    # A spec refuses them before anything is read.
    for refuse in (parse, lambda own: DataSpec(event_log=True, items="i.csv", item_attributes=own)):
        with pytest.raises(
            OptionError, match=f"^--item-attributes is {value!r}, but should be {expected}$"
        ):
            refuse(names)


# ---- kinds and values


GAPS = float("nan")


@pytest.mark.parametrize(
    ("values", "given", "expected"),
    [
        # A column of finite numbers is a number.
        (["1", "-2.5", "1e3", "", None, " 7 "], "g", [1, -2.5, 1000, None, None, 7]),
        ([1, None, -3], "g", [1, None, -3]),
        ([0.5, GAPS, None], "g", [0.5, None, None]),
        (pa.array([Decimal("1.25"), None]), "g", [1.25, None]),
        (pa.array(["1", "2", "1"]).dictionary_encode(), "g", [1, 2, 1]),
        (pa.chunked_array([["1"], ["", "2"]]), "g", [1, None, 2]),
        ([2**60, 1], "g", [2.0**60, 1]),
        # Any other is text.
        (["1", "a", "b"], "g", [["1"], ["a"], ["b"]]),
        ([True, None], "g", [["True"], []]),
        (pa.array([["a|b", ""], [None]], pa.large_list(pa.string())), "g", [["a|b"], []]),
        (pa.array([[1.0, 2.0], None]), "g", [["1", "2"], []]),
        # Codes, of which some items have several.
        (["1", "2", "1|2"], "g", [["1"], ["2"], ["1", "2"]]),
        # A kind that is given overrides the content.
        (["1", "twelve"], "g:text", [["1"], ["twelve"]]),
        (["0001", "12|13", ""], "g:text", [["0001"], ["12", "13"], []]),
        ([1995.0, None, GAPS], "g:text", [["1995"], [], []]),
        (["", None], "g:number", [None, None]),
        ([True, False, None], "g:number", [1, 0, None]),
    ],
)
def test_a_column_is_a_number_or_text_and_nothing_is_told_of_what_is_meant(values, given, expected):
    assert read(values, given) == (expected, [])


@pytest.mark.parametrize("mark", ["N/A", "-", " nan "])
@pytest.mark.parametrize("given", ["g", "g:number"])
def test_marks_of_a_missing_number_are_gaps_that_are_told_of(mark, given):
    values = ["1", mark, "", "2.5", mark, None]
    told = (
        f"2 of 4 values of column g of items.csv mark a missing number, such as "
        f"{mark.strip()!r} in row 2: these items have none"
    )
    for of in (values, pa.array(values).dictionary_encode()):
        assert read(of, given) == ([1, None, None, 2.5, None, None], [told])


def test_a_column_that_is_text_for_few_values_is_told_of():
    # Nothing says of these what they would be.
    assert read(["", None])[0] == [[], []]
    assert read(["N/A", "-", ""])[0] == [["N/A"], ["-"], []]
    texts, told = read(["1", "2", "", "twelve", "3", "N/A", "4", "12 €"])
    assert texts[3] == ["twelve"]
    assert told[0] == (
        "column g of items.csv is published as text, although 4 of its 7 values are numbers: 2 aren't, "
        "such as 'twelve' in row 4. Fix or empty those, or give --item-attributes g:number, which "
        "refuses them, or g:text"
    )
    # No number that can be sorted or compared.
    texts, told = read(["1", "2", "inf"])
    assert texts[2] == ["inf"]
    assert told[0].startswith("column g of items.csv is published as text, although 2")


@given(st.lists(st.text("0123456789.eE+-", min_size=1, max_size=6), min_size=1, max_size=3))
def test_what_is_a_number_is_what_arrow_takes_for_one(values):
    try:
        expected = pc.cast(pa.array(values), pa.float64()).to_pylist()
    except pa.ArrowInvalid:
        expected = None
    found, _ = read(values)
    if "-" in values or (expected is not None and not np.isfinite(expected).all()):
        return
    # Zeros at the beginning are those of codes.
    if expected is None or any(re.match("[-+]?0[0-9]", value) for value in values):
        assert all(isinstance(own, list) for own in found)
    else:
        assert found == expected


@pytest.mark.parametrize("codes", [["0000000000001", "12"], ["9007199254740996", "9007199254740997"]])
def test_numbers_that_are_codes_are_text_and_are_told(codes):
    texts, [told] = read(codes)
    assert texts == [[code] for code in codes]
    assert "written as codes, such as " in told
    assert "g:number makes it a number" in told
    assert read(codes, "g:number") == ([float(code) for code in codes], [])


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_keep_all_their_digits(values):
    as_text = ["" if value is None else repr(value) for value in values]
    assert read(as_text, "g:number")[0] == values
    assert read(pa.array(values, pa.float64()))[0] == values


# ---- mistakes


@pytest.mark.parametrize("as_list", [False, True])
def test_a_value_that_is_too_long_is_named_by_row_and_column(as_list):
    def filled(value):
        return pa.array([["a"], ["b", value]]) if as_list else ["a", f"b|{value}"]

    # Two bytes each.
    longest = "é" * (MAX_VALUE_BYTES // 2)
    assert read(filled(longest))[0] == [["a"], ["b", longest]]
    reason = "^items.csv, row 2: g has a value of 501 bytes of UTF-8; at most 500 fit: 'é{40}'[.]{3}$"
    with pytest.raises(InputError, match=reason):
        read(filled(longest + "x"))


@pytest.mark.parametrize(
    ("values", "given", "row", "reason"),
    [
        (["1", "x"], "g:number", 2, "g is 'x', which isn't a number"),
        (["1", "", "-inf"], "g:number", 3, "g is '-inf', which isn't a finite number"),
        ([1.0, None, np.inf], "g", 3, "g is inf, which isn't a finite number"),
        (pa.array([[1], [2]]), "g:number", None, "g isn't a column of numbers: "),
    ],
)
def test_values_that_are_no_numbers_are_named_by_row_and_column(values, given, row, reason):
    with pytest.raises(InputError) as caught:
        read(values, given)
    assert (caught.value.path, caught.value.row) == (PATH, row)
    assert caught.value.reason.startswith(reason)
