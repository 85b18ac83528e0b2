import datetime as dt
import re
import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication.attributes import NumberColumn, TextColumn
from lightfm_retriever.publication.storage.id_map import IdMap
from tests import datasets
from trainer.data.features import FeatureTable, from_table, read_features
from trainer.data.item_attributes import parse
from trainer.errors import InputError, OptionError

PATH = Path("items.csv")
VALUES = st.text(
    st.characters(exclude_categories=["Cs", "Z", "Cc"], exclude_characters="|"), min_size=1
)


def read(values, *, separator="|", attributes=()):
    table = pa.table({"item_id": [f"i{row}" for row in range(len(values))], "g": values})
    wanted = parse(attributes)
    return from_table(PATH, table, "item", columns=["g"], separator=separator, attributes=wanted)


def features(values, **options):
    """The values of each row, without the column's name."""
    found = [[value.partition("g:") for value in own] for own in read(values, **options).features]
    assert all(not before and name for own in found for before, name, _ in own)
    return [[value for _, _, value in own] for own in found]


@pytest.mark.parametrize("name", ["i.csv", "i.tsv", "i.csv.gz", "i.parquet"])
def test_every_kind_of_file_gives_the_same_features(tmp_path, name):
    genres, years = ["War|1995", "", "War"], ["1995", "2001", "1995"]
    columns = {"item_id": [*"abc"], "genres": genres, "year": years, "title": ["Á", "", "C"]}
    path = datasets.write(tmp_path / name, {**columns, "unused": [""] * 3})
    # Columns don't share their values.
    first = ["genres:1995", "genres:War", "year:1995"]
    assert read_features(path, "item", columns=["year", "genres"]) == FeatureTable(
        name=name,
        ids=["a", "b", "c"],
        features=[first, ["year:2001"], ["genres:War", "year:1995"]],
        columns=["year", "genres"],
        titles=["Á", "", "C"],
    )


@given(st.lists(st.lists(VALUES), min_size=1))
def test_a_list_in_parquet_is_the_same_as_text_with_separators(lists):
    as_lists = features(pa.array(lists, pa.list_(pa.string())))
    assert as_lists == features(pa.array(["|".join(values) for values in lists], pa.string()))
    assert as_lists == [sorted({*values}) for values in lists]


@pytest.mark.parametrize("separator", [" ", "::", "|"])
def test_any_text_separates_values(separator):
    values = [f"War{separator}Drama", "War/Drama"]
    assert features(values, separator=separator) == [["Drama", "War"], ["War/Drama"]]
    with pytest.raises(OptionError, match="--feature-separator is '', but should be at least one"):
        features(["a"], separator="")


AB = ["a", "b"]
CODES = pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # Trimmed, and once each.
        ([" War | Drama|War||  ", "|", None], [["Drama", "War"], [], []]),
        ([1, 2, None], [["1"], ["2"], []]),
        ([True, False, None], [["True"], ["False"], []]),
        (pa.array(["a|b", "c", None]).dictionary_encode(), [AB, ["c"], []]),
        # A dataframe has integers as floats when one is missing.
        ([30.0, None, np.nan], [["30"], [], []]),
        ([30.0, 0.5, np.nan, None], [["30.0"], ["0.5"], [], []]),
        ([2.0**53, 1.0], [["9007199254740992.0"], ["1.0"]]),
        (pa.array([Decimal("1.50"), None]), [["1.50"], []]),
        # Lists of any type.
        (pa.array([[1, 0], [], None]), [["0", "1"], [], []]),
        (pa.array([[30.0, 2.0], [None]]), [["2", "30"], []]),
        (pa.array([["a", ""], ["b|c"], None]), [["a"], ["b|c"], []]),
        (pa.array([[" War ", "Drama\n"], [" "]]), [["Drama", "War"], []]),
        (pa.array([["a"], ["b"]], pa.list_(CODES)), [["a"], ["b"]]),
        (pa.array([AB, None], pa.list_(pa.string(), 2)), [AB, []]),
        (pa.array([AB, None, []], pa.list_view(pa.string())), [AB, [], []]),
        (pa.array([[uuid.UUID(int=1).bytes]], pa.list_(pa.binary(16))), [[str(uuid.UUID(int=1))]]),
        (pa.array([[dt.date(2026, 1, 2)]]), [["2026-01-02"]]),
    ],
)
def test_values_are_named_as_in_a_csv_file(values, expected):
    assert features(values) == expected


MAP = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))


@pytest.mark.parametrize("values", [[{"a": 1}], [[["a"]]], [[{"a": 1}]], MAP, [b"a"], [[b"a"]]])
@pytest.mark.parametrize("columns", [(["g"], []), ([], ["g"])])
def test_a_column_whose_values_have_no_text_is_refused(values, columns):
    """As a feature and as an attribute."""
    table = pa.table({"item_id": ["a"], "g": values})
    wanted, attributes = columns
    with pytest.raises(InputError) as caught:
        from_table(PATH, table, "item", columns=wanted, separator="|", attributes=parse(attributes))
    kind = table.schema.field("g").type
    assert str(caught.value).startswith(
        f"items.csv: column g holds {kind}, but should hold text or integers, or lists of such: "
    )


# ---- what looks wrong


@pytest.mark.parametrize(
    "values",
    [
        ["War|Drama", "War, and so on"],
        ["none", "-", "other"],
        ["1.0", "1.1"],
        ["[REC]", "(500) Days of Summer", "{}"],
        [["a, b"], ["['a']"]],
        [*["a"] * 20, "a,b"],
    ],
)
def test_nothing_looks_wrong_with_these(values):
    assert read(values).warnings == []


LISTS = ["['a', 'b']", '["a","b"]', "['a' 'b']", "[1, 2]", "[]", "('a', 'b')", "{'a': 1}", "{1, 2}"]
MARKS = "nan NaN N/A null <NA> undefined"
AS_LISTS = "but aren't read as lists: put '|' between the values, or write lists in Parquet"
AS_VALUES = "but count as values: leave them empty"


@pytest.mark.parametrize(
    ("value", "what", "then"),
    [
        *((value, "lists written as text", AS_LISTS) for value in LISTS),
        *((mark, "markers of a missing value", AS_VALUES) for mark in MARKS.split()),
    ],
)
def test_what_looks_like_something_else_is_told_of(value, what, then):
    assert read(["a", None, value, value]).warnings == [
        f"2 of 3 values of column g of items.csv look like {what}, such as {value!r} in row 3, {then}"
    ]


@pytest.mark.parametrize("other", [",", ";", "\t", "|"])
def test_another_separator_is_told_of(other):
    separator = "|" if other != "|" else ";"
    values = ["War", f"War{other}Drama", "", f"War{other} Sci-Fi"]
    [warning] = read(values, separator=separator).warnings
    assert warning == (
        f"no value of column g of items.csv holds {separator!r}, but 2 of 3 hold {other!r}, such as "
        f"{values[1]!r} in row 2: --feature-separator {other!r}?"
    )
    assert read([*values, f"a{separator}b"], separator=separator).warnings == []
    # Once, though it is an attribute, too.
    assert len(read(values, separator=separator, attributes=["g"]).warnings) == 1


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        (["1,5", "2,25"], r"decimal commas\? Write 1.5 instead of 1,5. Or --feature-separator ','\?"),
        (
            ["30.0", "", "25.0"],
            "^all 2 values {} are integers written as floats, such as '30.0' in row 1, and ",
        ),
        (pa.nulls(2), "^{} has no value in any row"),
        (["", None], "^{} has no value in any row"),
        (
            ["Drama", "drama ", "x"],
            "^1 values {} differ only in case, space or Unicode form, such as 'Drama' and 'drama'",
        ),
    ],
)
def test_other_oddities_are_told_of(values, warning):
    [found] = read(values).warnings
    assert re.search(warning.format("(of )?column g of items.csv"), found)


def test_an_id_that_is_there_twice_and_all_columns_that_are_missing_are_named(tmp_path):
    path = datasets.write(tmp_path / "u.csv", {"user_id": [*"abcb"], "age": [*"1234"]})
    with pytest.raises(InputError, match=r"u\.csv, row 4: user_id 'b' is also in row 2$"):
        read_features(path, "user", columns=["age"])
    with pytest.raises(InputError, match="column item_id, Age is missing; the columns are: user_id"):
        read_features(path, "item", columns=["Age"])


def test_a_title_can_be_a_feature_too_and_users_have_none(tmp_path):
    path = datasets.write(tmp_path / "i.csv", {"item_id": ["a"], "title": ["A Film"], "user_id": ["b"]})
    found = read_features(path, "item", columns=["title"], separator=" ")
    assert (found.features, found.titles) == ([["title:A", "title:Film"]], ["A Film"])
    found = read_features(path, "user", columns=["title"])
    assert (found.features, found.titles) == ([["title:A Film"]], None)
    path = datasets.write(tmp_path / "i.csv", {"item_id": ["a"], "name": ["A"]})
    assert read_features(path, "item", columns=[]) == FeatureTable("i.csv", ["a"], [[]], [], None)


@settings(max_examples=25)
@given(st.permutations("abcdef"), st.sets(st.sampled_from("abcdefxyz"), min_size=1))
def test_values_follow_their_ids_into_the_order_of_the_rows(ids, published):
    id_map = IdMap.build(sorted(published))
    columns = [TextColumn("t", [[own] for own in ids]), NumberColumn("n", np.arange(6.0))]
    table = FeatureTable(ids=list(ids), titles=[own.upper() for own in ids], attributes=columns)
    titles, (text, number) = table.by_row(id_map)
    assert (text.name, number.name) == ("t", "n")
    for row in range(len(id_map)):
        own = id_map.external_id(row)
        assert list(text.values[row]) == ([own] if own in ids else [])
        expected = ids.index(own) if own in ids else np.nan
        assert titles[row] == (own.upper() if own in ids else "")
        np.testing.assert_array_equal(number.values[row], expected)
