"""Columns of an items file as attributes: which kind they are, which values, and what is refused."""

from __future__ import annotations

import re
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication.attributes import MAX_VALUE_BYTES, NumberColumn, TextColumn
from lightfm_retriever.publication.storage.id_map import IdMap
from tests import datasets
from trainer.data.features import read_features
from trainer.data.item_attributes import WantedColumn, by_row, parse, read
from trainer.errors import InputError, OptionError
from trainer.reading import read_source
from trainer.spec import DataSpec

PATH = Path("items.csv")
SUFFIXES = ("csv", "tsv", "csv.gz", "parquet")


def attribute(values, given="g", *, separator="|"):
    """One column as the attribute that is made of it."""
    [column] = read(PATH, pa.table({"g": values}), parse([given]), separator=separator)
    assert column.name == "g"
    return column


def numbers(values, given="g"):
    """A number attribute, None for none."""
    column = attribute(values, given)
    assert isinstance(column, NumberColumn)
    assert column.values.dtype == np.float64
    return [None if np.isnan(value) else value for value in column.values.tolist()]


def texts(values, given="g", *, separator="|"):
    column = attribute(values, given, separator=separator)
    assert isinstance(column, TextColumn)
    return [[*own] for own in column.values]


# ---- what is wanted


def test_a_column_is_given_by_name_and_perhaps_kind():
    assert parse([]) == []
    assert parse(["genres", "year:number", "code:text", "a:b", "c:d:text"]) == [
        WantedColumn("genres", None),
        WantedColumn("year", "number"),
        WantedColumn("code", "text"),
        WantedColumn("a:b", None),
        WantedColumn("c:d", "text"),
    ]
    # Columns that are called as a kind is, and as a kind is given.
    assert parse(["text", "number", "e:number:text", "number:number:number"]) == [
        WantedColumn("text", None),
        WantedColumn("number", None),
        WantedColumn("e:number", "text"),
        WantedColumn("number:number", "number"),
    ]


@pytest.mark.parametrize(
    ("names", "value", "expected"),
    [
        ([""], "", "the name of a column, or NAME:text or NAME:number"),
        (["a", ":text"], ":text", "the name of a column, or NAME:text or NAME:number"),
        (["title"], "title", "another column: titles are published anyway"),
        (["title:text"], "title:text", "another column: titles are published anyway"),
        (["a", "b", "a"], "a", "there once"),
        (["a:number", "a:text"], "a:text", "there once"),
    ],
)
def test_names_that_cannot_be_used_are_named(names, value, expected):
    with pytest.raises(OptionError) as caught:
        parse(names)
    assert str(caught.value) == f"--item-attributes is {value!r}, but should be {expected}"


# ---- kinds and values


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_gives_the_same_attributes(tmp_path, suffix):
    columns = {
        "item_id": ["a", "b", "c"],
        "genres": ["War| Drama||War", "", "映画"],
        "year": ["1995", "", " 2001.5 "],
        "code": ["0001", "0002", ""],
    }
    path = datasets.write(tmp_path / f"items.{suffix}", columns)
    wanted = parse(["code:text", "year", "genres"])
    code, year, genres = read_features(path, "item", columns=["genres"], attributes=wanted).attributes
    assert code == TextColumn("code", [["0001"], ["0002"], []])
    assert (year.name, genres.name) == ("year", "genres")
    np.testing.assert_array_equal(year.values, [1995, np.nan, 2001.5])
    assert [{*own} for own in genres.values] == [{"War", "Drama"}, set(), {"映画"}]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2.5", "1e3", "", None, " 7 "], [1, -2.5, 1000, None, None, 7]),
        ([1, None, -3], [1, None, -3]),
        ([0.5, float("nan"), None], [0.5, None, None]),
        (pa.array([1.5, None], pa.float32()), [1.5, None]),
        (pa.array([Decimal("1.25"), None]), [1.25, None]),
        (pa.array(["1", "2", "1"]).dictionary_encode(), [1, 2, 1]),
        (pa.array([3, 4, 3]).dictionary_encode(), [3, 4, 3]),
        (pa.array(["1", None], pa.large_string()), [1, None]),
        (pa.chunked_array([["1"], ["", "2"]]), [1, None, 2]),
        ([2**60, 1], [2.0**60, 1]),
    ],
)
def test_a_column_of_finite_numbers_is_a_number(values, expected):
    assert numbers(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2", "x"], [["1"], ["2"], ["x"]]),
        # No number that can be sorted or compared.
        (["1", "inf"], [["1"], ["inf"]]),
        (["1|2", "3"], [["1", "2"], ["3"]]),
        # Nothing says what these would be.
        (["", None], [[], []]),
        ([True, None], [["True"], []]),
        (pa.array([[1, 2], [], None]), [["1", "2"], [], []]),
        (pa.array([["a|b", ""], [None]], pa.large_list(pa.string())), [["a|b"], []]),
        (pa.array(["a|b", "a"]).dictionary_encode(), [["a", "b"], ["a"]]),
    ],
)
def test_any_other_column_is_text(values, expected):
    assert texts(values) == expected


def told(values, given="g"):
    """What is said of a column as an attribute."""
    warnings = []
    read(PATH, pa.table({"g": values}), parse([given]), separator="|", warnings=warnings)
    return warnings


@pytest.mark.parametrize(
    "mark",
    ["N/A", "n/a", "NA", "nan", "NaN", "null", "NULL", "None", "-", "?", "<NA>", "#N/A", " nan "],
)
@pytest.mark.parametrize("given", ["g", "g:number"])
def test_marks_of_a_missing_number_are_gaps_that_are_told_of(mark, given):
    values = ["1", mark, "", "2.5", mark, None]
    assert numbers(values, given) == [1, None, None, 2.5, None, None]
    [warning] = told(values, given)
    assert warning == (
        f"2 of 4 values of column g of items.csv mark a missing number, as {mark.strip()!r} in row 2: "
        "these items have none"
    )
    assert numbers(pa.array(values).dictionary_encode(), given) == numbers(values, given)
    assert told(["1", "", None], given) == []


def test_marks_alone_say_nothing_of_numbers():
    assert texts(["N/A", "-", ""]) == [["N/A"], ["-"], []]


def test_a_column_that_is_text_for_few_values_is_told_of():
    values = ["1", "2", "", "twelve", "3", "N/A", "4", "12 €"]
    assert texts(values)[3] == ["twelve"]
    assert told(values)[0] == (
        "column g of items.csv is published as text, although 4 of its 7 values are numbers: 2 aren't, "
        "as 'twelve' in row 4. Mend or empty those, or give --item-attributes g:number, which refuses "
        "them, or g:text"
    )
    assert told(["1", "2", "inf"])[0].startswith(
        "column g of items.csv is published as text, although 2"
    )


@pytest.mark.parametrize(
    ("values", "given"),
    [
        (["1", "twelve"], "g:text"),
        (["1", "a", "b"], "g"),
        # Codes, of which some items have several.
        (["1", "2", "1|2"], "g"),
        ([1, 2], "g"),
        ([1.0, None], "g:text"),
    ],
)
def test_nothing_is_told_of_text_that_is_meant(values, given):
    assert told(values, given) == []


def test_integers_with_gaps_are_text_as_integers_are():
    assert texts([1995.0, None, float("nan")], "g:text") == [["1995"], [], []]
    assert texts(pa.array([[1.0, 2.0], None]), "g") == [["1", "2"], []]


@given(st.lists(st.text("0123456789.eE+-", min_size=1, max_size=6), min_size=1, max_size=3))
def test_what_is_a_number_is_what_arrow_takes_for_one(values):
    try:
        expected = pc.cast(pa.array(values), pa.float64()).to_pylist()
    except pa.ArrowInvalid:
        expected = None
    marks = [value for value in values if value == "-"]
    if expected is None and not marks:
        assert isinstance(attribute(values), TextColumn)
    elif not marks and np.isfinite(expected).all():
        # Zeros at the beginning are those of codes.
        if any(re.match("[-+]?0[0-9]", value) for value in values):
            assert isinstance(attribute(values), TextColumn)
        else:
            assert numbers(values) == expected


@pytest.mark.parametrize("codes", [["0000000000001", "12"], ["9007199254740996", "9007199254740997"]])
def test_numbers_that_are_codes_are_text_and_are_told(tmp_path, codes):
    path = datasets.write(tmp_path / "items.csv", {"item_id": ["a", "b"], "ean": codes})
    table = read_features(path, "item", columns=[], attributes=parse(["ean"]))
    assert [own.values for own in table.attributes] == [[[code] for code in codes]]
    [warning] = table.warnings
    assert "written as codes, as " in warning
    assert "ean:number makes it a number" in warning
    numbers_asked_for = read_features(path, "item", columns=[], attributes=parse(["ean:number"]))
    assert isinstance(numbers_asked_for.attributes[0], NumberColumn)


def test_a_kind_that_is_given_overrides_the_content():
    assert texts(["0001", "12|13", ""], "g:text") == [["0001"], ["12", "13"], []]
    assert texts([1995, None], "g:text") == [["1995"], []]
    assert numbers(["", None], "g:number") == [None, None]
    assert numbers([True, False, None], "g:number") == [1, 0, None]


@pytest.mark.parametrize("separator", ["|", ";", " ", ", "])
def test_values_are_cut_at_the_given_separator_only(separator):
    assert texts([f"War{separator}Drama"], separator=separator) == [["War", "Drama"]]
    assert texts(["War/Drama"], separator=separator) == [["War/Drama"]]


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_keep_all_their_digits(values):
    as_text = ["" if value is None else repr(value) for value in values]
    assert numbers(as_text, "g:number") == values
    assert numbers(pa.array(values, pa.float64())) == values


@settings(max_examples=25)
@given(st.permutations("abcdef"), st.sets(st.sampled_from("abcdefxyz"), min_size=1))
def test_values_follow_their_ids_into_the_order_of_the_rows(ids, published):
    id_map = IdMap.build(sorted(published))
    values = np.arange(6, dtype=np.float64)
    columns = [TextColumn("t", [[own] for own in ids]), NumberColumn("n", values)]
    text, number = by_row(columns, ids, id_map)
    assert (text.name, number.name) == ("t", "n")
    for row in range(len(id_map)):
        own = id_map.external_id(row)
        assert list(text.values[row]) == ([own] if own in ids else [])
        expected = ids.index(own) if own in ids else np.nan
        np.testing.assert_array_equal(number.values[row], expected)


def test_a_specs_attributes_are_read_from_its_items(tmp_path):
    interactions = datasets.write_rows(tmp_path / "a.csv", [("u", "a", 1.0)])
    items = datasets.write(tmp_path / "i.csv", {"item_id": ["a"], "g": ["1;2"], "year": ["1995"]})

    def source(**changes):
        data = DataSpec(interactions=str(interactions), **changes)
        return read_source(data, data_dir=tmp_path, event_log=None).items

    options = {"feature_separator": ";", "item_features": ["g"]}
    read = source(items=str(items), item_attributes=["year:text", "g"], **options)
    assert read.attributes == [TextColumn("year", [["1995"]]), TextColumn("g", [["1", "2"]])]
    assert read.features == [["g:1", "g:2"]]
    assert source(items=str(items), **options).attributes == []
    with pytest.raises(OptionError) as caught:
        source(item_attributes=["year:text", "g"])
    assert str(caught.value) == (
        "--item-attributes is 'year:text,g', but should be used with --items FILE"
    )


def test_a_spec_refuses_attributes_before_anything_is_read():
    with pytest.raises(OptionError, match="--item-attributes is 'title', but should be another column"):
        DataSpec(event_log=True, items="i.csv", item_attributes=["year", "title"])


def test_without_attributes_there_are_none(tmp_path):
    path = datasets.write(tmp_path / "i.csv", {"item_id": ["a"], "year": ["1995"]})
    assert read_features(path, "item", columns=["year"]).attributes == []


# ---- mistakes


def refused(values, given="g"):
    with pytest.raises(InputError) as caught:
        attribute(values, given)
    assert caught.value.path == PATH
    return caught.value


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_column_that_is_not_there_is_named_once_beside_those_that_are(tmp_path, suffix):
    path = datasets.write(tmp_path / f"items.{suffix}", {"item_id": ["a"], "Year": ["1995"]})
    with pytest.raises(
        InputError,
        match=r"items\..*: column year is missing; the columns are: item_id, Year: rename 'Year' to",
    ):
        read_features(path, "item", columns=["year"], attributes=parse(["year"]))


@pytest.mark.parametrize("values", [["a", "b|{}"], pa.array([["a"], ["b", "{}"]])])
def test_a_value_that_is_too_long_is_named_by_row_and_column(values):
    # Two bytes each.
    longest = "é" * (MAX_VALUE_BYTES // 2)

    def filled(value):
        lists = values if isinstance(values, list) else values.to_pylist()
        return [
            own.format(value) if isinstance(own, str) else [one.format(value) for one in own]
            for own in lists
        ]

    assert texts(filled(longest)) == [["a"], ["b", longest]]
    error = refused(filled(longest + "x"))
    assert str(error) == (
        f"items.csv, row 2: g has a value of 501 bytes of UTF-8, at most 500: {'é' * 40!r}..."
    )


@pytest.mark.parametrize(
    ("values", "given", "row", "reason"),
    [
        (["1", "x"], "g:number", 2, "g is 'x', which isn't a number"),
        (["1", "2|3"], "g:number", 2, "g is '2|3', which isn't a number"),
        (["1", "", "-inf"], "g:number", 3, "g is '-inf', which isn't a finite number"),
        (["1", "1e999"], "g:number", 2, "g is '1e999', which isn't a finite number"),
        ([1.0, None, np.inf], "g", 3, "g is inf, which isn't a finite number"),
        (pa.array([[1], [2]]), "g:number", None, "g isn't a column of numbers: "),
        ([{"a": 1}], "g", None, "column g holds struct<a: int64>, but should hold text or integers"),
    ],
)
def test_values_that_are_no_numbers_are_named_by_row_and_column(values, given, row, reason):
    error = refused(values, given)
    assert error.row == row
    assert error.reason.startswith(reason)


def test_any_values_of_lists_and_of_cut_text_are_the_same():
    """Written as Parquet, so that it is the file's own type that decides."""
    with tempfile.TemporaryDirectory() as name:
        lists = pa.table({"item_id": ["a", "b"], "g": pa.array([["x", "y"], ["z"]])})
        pa.parquet.write_table(lists, Path(name) / "lists")
        cut = datasets.write(Path(name) / "cut.parquet", {"item_id": ["a", "b"], "g": ["x|y", "z"]})
        for path in (Path(name) / "lists", cut):
            [column] = read_features(path, "item", columns=[], attributes=parse(["g"])).attributes
            assert column == TextColumn("g", [["x", "y"], ["z"]])
