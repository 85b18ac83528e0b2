from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.errors import InputError, OptionError
from trainer.features import FeatureTable, from_table, read_features

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


def test_a_column_of_another_type_is_named():
    with pytest.raises(
        InputError, match=r"items\.csv: column g holds struct.*should hold text or integers"
    ):
        features([{"a": 1}])


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
    with pytest.raises(InputError, match=r"u\.csv, row 2: user_id: id "):
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
