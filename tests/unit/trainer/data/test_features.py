from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.data.features import FeatureTable, from_table, read_features
from trainer.data.item_attributes import parse
from trainer.errors import InputError, OptionError

PATH = Path("items.csv")
VALUES = st.text(
    st.characters(exclude_categories=["Cs", "Zs", "Cc"], exclude_characters="|"), min_size=1
)


def features(values, *, column="g", separator="|"):
    table = pa.table({"item_id": [f"i{row}" for row in range(len(values))], column: values})
    return from_table(PATH, table, "item", columns=[column], separator=separator).features


@pytest.mark.parametrize("name", ["i.csv", "i.tsv", "i.csv.gz", "i.parquet"])
def test_every_kind_of_file_gives_the_same_features(tmp_path, name):
    columns = {
        "item_id": ["a", "b", "c"],
        "genres": ["War|Drama", "", "Drama"],
        "year": ["1995", "2001", "1995"],
        "title": ["Á", "", "C"],
        "unused": ["", "", ""],
    }
    path = datasets.write(tmp_path / name, columns)
    assert read_features(path, "item", columns=["year", "genres"]) == FeatureTable(
        name=name,
        ids=["a", "b", "c"],
        features=[
            ["genres:Drama", "genres:War", "year:1995"],
            ["year:2001"],
            ["genres:Drama", "year:1995"],
        ],
        columns=["year", "genres"],
        titles=["Á", "", "C"],
    )


@given(st.lists(st.lists(VALUES), min_size=1))
def test_a_list_in_parquet_is_the_same_as_text_with_separators(lists):
    as_lists = features(pa.array(lists, pa.list_(pa.string())))
    assert as_lists == features(pa.array(["|".join(values) for values in lists], pa.string()))
    assert as_lists == [sorted({f"g:{value}" for value in values}) for values in lists]


def test_values_are_trimmed_and_count_once():
    assert features([" War | Drama|War||  ", "|", None]) == [["g:Drama", "g:War"], [], []]


@pytest.mark.parametrize("separator", [" ", ", ", ";", "::", "|"])
def test_any_text_separates_values(separator):
    assert features([f"War{separator}Drama"], separator=separator) == [["g:Drama", "g:War"]]
    other = "/" if separator != "/" else "|"
    assert features([f"War{other}Drama"], separator=separator) == [[f"g:War{other}Drama"]]


def test_without_a_separator_there_is_nothing_to_separate_by():
    with pytest.raises(OptionError, match="--feature-separator is '', but should be at least one"):
        features(["a"], separator="")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, None], [["g:1"], ["g:2"], []]),
        ([0.5, np.nan, None], [["g:0.5"], [], []]),
        ([True, False, None], [["g:True"], ["g:False"], []]),
        (pa.array([[1, 0], [], None]), [["g:0", "g:1"], [], []]),
        (pa.array([[0.5, np.nan], [None], None]), [["g:0.5"], [], []]),
        (pa.array([["a", ""], ["b|c"], None]), [["g:a"], ["g:b|c"], []]),
        (pa.array([["a"], [], None], pa.large_list(pa.string())), [["g:a"], [], []]),
        (pa.array(["a|b", "c", None]).dictionary_encode(), [["g:a", "g:b"], ["g:c"], []]),
    ],
)
def test_other_types_and_what_is_missing(values, expected):
    assert features(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # A dataframe has integers as floats when one is missing.
        ([30.0, None, np.nan], [["g:30"], [], []]),
        (pa.array([30.0, -1.0], pa.float32()), [["g:30"], ["g:-1"]]),
        (pa.array([[30.0, 2.0], [None]]), [["g:2", "g:30"], []]),
        ([30.0, 0.5], [["g:30.0"], ["g:0.5"]]),
        ([2.0**53, 1.0], [["g:9007199254740992.0"], ["g:1.0"]]),
        (pa.array([1.5, 2.0]).dictionary_encode(), [["g:1.5"], ["g:2.0"]]),
        (pa.array([[" War ", "Drama\n"], [" "]]), [["g:Drama", "g:War"], []]),
        (
            pa.array([["a"], ["b"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
            [["g:a"], ["g:b"]],
        ),
        (pa.array([["a", "b"], None], pa.list_(pa.string(), 2)), [["g:a", "g:b"], []]),
        (pa.array([["a", "b"], None, []], pa.list_view(pa.string())), [["g:a", "g:b"], [], []]),
        (pa.array([[uuid.UUID(int=1).bytes]], pa.list_(pa.binary(16))), [[f"g:{uuid.UUID(int=1)}"]]),
        (pa.array([Decimal("1.50"), None]), [["g:1.50"], []]),
        (pa.array([[dt.date(2026, 1, 2)]]), [["g:2026-01-02"]]),
    ],
)
def test_values_are_named_as_in_a_csv_file(values, expected):
    assert features(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        [{"a": 1}],
        [[["a"]]],
        [[{"a": 1}]],
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        [b"a"],
        [[b"a"]],
    ],
)
@pytest.mark.parametrize("kind", ["feature", "attribute"])
def test_a_column_whose_values_have_no_text_is_refused(values, kind):
    table = pa.table({"item_id": ["a"], "g": values})
    columns, attributes = (["g"], []) if kind == "feature" else ([], parse(["g"]))
    with pytest.raises(InputError) as caught:
        from_table(PATH, table, "item", columns=columns, separator="|", attributes=attributes)
    kind = table.schema.field("g").type
    assert str(caught.value).startswith(
        f"items.csv: column g holds {kind}, but should hold text or integers, or lists of such: "
    )


# ---- what looks wrong


def warnings(values, *, separator="|", attributes=()):
    table = pa.table({"item_id": [f"i{row}" for row in range(len(values))], "g": values})
    wanted = parse(attributes)
    read = from_table(PATH, table, "item", columns=["g"], separator=separator, attributes=wanted)
    return read.warnings


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        (["War|Drama", "War, and so on"], "|"),
        (["War", "Drama"], "|"),
        (["none", "-", "other"], "|"),
        (["1.0", "1.1"], "|"),
        (["[REC]", "(500) Days of Summer", "{}"], "|"),
        ([["a, b"], ["['a']"]], "|"),
        (["a b", "c d"], "|"),
        ([*["a"] * 20, "a,b"], "|"),
        ([1.5, 2.5], "|"),
    ],
)
def test_nothing_looks_wrong_with_these(values, separator):
    assert warnings(values, separator=separator) == []


@pytest.mark.parametrize(
    "value",
    ["['a', 'b']", '["a","b"]', "['a' 'b']", "[1, 2]", "[]", "('a', 'b')", "{'a': 1}", "{1, 2}"],
)
def test_lists_that_were_written_as_text_are_told_of(value):
    [warning] = warnings(["a", None, value, value])
    assert warning == (
        f"2 of 3 values of column g of items.csv look like lists written as text, as {value!r} in row "
        "3, but aren't read as lists: put '|' between the values, or write lists in Parquet"
    )


@pytest.mark.parametrize("other", [",", ";", "\t", "|"])
def test_another_separator_is_told_of(other):
    separator = "|" if other != "|" else ";"
    values = ["War", f"War{other}Drama", "", f"War{other} Sci-Fi"]
    [warning] = warnings(values, separator=separator)
    assert warning == (
        f"no value of column g of items.csv holds {separator!r}, but 2 of 3 hold {other!r}, as "
        f"{values[1]!r} in row 2: --feature-separator {other!r}?"
    )
    assert warnings([*values, f"a{separator}b"], separator=separator) == []


def test_decimal_commas_are_told_of():
    [warning] = warnings(["1,5", "2,25"])
    assert warning.endswith(
        "as '1,5' in row 1: decimal commas? Write 1.5 for 1,5. Or --feature-separator ','?"
    )


def test_integers_that_were_written_as_floats_are_told_of():
    assert (
        "all 2 values of column g of items.csv are integers written as floats, as '30.0' in row 1"
        in (warnings(["30.0", "", "25.0"])[0])
    )


@pytest.mark.parametrize("mark", ["nan", "NaN", "N/A", "null", "<NA>", "undefined"])
def test_marks_of_a_missing_value_are_told_of(mark):
    [warning] = warnings(["a", mark, None, mark])
    assert warning == (
        f"2 of 3 values of column g of items.csv look like marks of a missing value, as {mark!r} in "
        "row 2, but are used as values: leave them empty"
    )


@pytest.mark.parametrize("values", [pa.nulls(2), ["", None], pa.array([None, ""], pa.large_string())])
def test_a_column_without_any_value_is_told_of(values):
    assert features(values) == [[], []]
    assert warnings(values) == ["column g of items.csv has no value in any row"]


def test_what_is_odd_about_a_feature_that_is_an_attribute_too_is_told_of_once():
    assert len(warnings(["a,b", "c,d"], attributes=["g"])) == 1


def test_columns_do_not_share_their_values(tmp_path):
    path = datasets.write(tmp_path / "i.csv", {"item_id": ["a"], "x": ["1"], "y": ["1"]})
    assert read_features(path, "item", columns=["x", "y"]).features == [["x:1", "y:1"]]


def test_an_id_may_be_there_once(tmp_path):
    path = datasets.write(tmp_path / "u.csv", {"user_id": ["a", "b", "c", "b"]})
    with pytest.raises(InputError, match=r"u\.csv, row 4: user_id 'b' is also in row 2$"):
        read_features(path, "user", columns=[])


@pytest.mark.parametrize("bad", ["", "x" * 513])
def test_a_bad_id_is_named_by_its_row(tmp_path, bad):
    path = datasets.write(tmp_path / "u.csv", {"user_id": ["a", bad], "age": ["1", "2"]})
    with pytest.raises(InputError, match=r"u\.csv, row 2: user_id"):
        read_features(path, "user", columns=["age"])


def test_missing_columns_are_named_beside_those_found(tmp_path):
    path = datasets.write(tmp_path / "u.csv", {"item_id": ["a"], "Age": ["1"]})
    with pytest.raises(
        InputError, match=r"u\.csv: column user_id, age is missing; the columns are: item_id, Age"
    ):
        read_features(path, "user", columns=["age"])


def test_a_title_can_be_a_feature_too(tmp_path):
    path = datasets.write(tmp_path / "i.csv", {"item_id": ["a"], "title": ["A Film"]})
    read = read_features(path, "item", columns=["title"], separator=" ")
    assert (read.features, read.titles) == ([["title:A", "title:Film"]], ["A Film"])


def test_users_have_no_titles_but_the_column_can_be_a_feature(tmp_path):
    path = datasets.write(tmp_path / "u.parquet", {"user_id": ["a"], "title": [1.5]})
    assert read_features(path, "user", columns=[]).titles is None
    read = read_features(path, "user", columns=["title"])
    assert (read.features, read.titles) == ([["title:1.5"]], None)


def test_without_the_column_there_are_no_titles(tmp_path):
    path = datasets.write(tmp_path / "i.csv", {"item_id": ["a"], "name": ["A"]})
    assert read_features(path, "item", columns=[]) == FeatureTable("i.csv", ["a"], [[]], [], None)
