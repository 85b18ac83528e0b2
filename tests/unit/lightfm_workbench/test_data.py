import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lightfm_workbench as wb
from lightfm_retriever.hosting.errors import ArgumentError
from tests import datasets
from trainer.errors import InputError, OptionError

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
# No space at the ends, which a reader of CSV takes away.
_ids = st.one_of(
    st.integers(-(2**60), 2**60),
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8),
)


def frame(**changes):
    columns = {"user_id": ["a", "b", "a"], "item_id": ["x", "x", "y"], **changes}
    return pd.DataFrame({name: own for name, own in columns.items() if own is not None})


@st.composite
def columns(draw):
    """Columns of interactions, each of one type, with duplicates."""
    count = draw(st.integers(1, 12))

    def several(values):
        return st.lists(values, min_size=count, max_size=count)

    def ids():
        kind = draw(st.sampled_from([0, 1]))
        pool = st.integers(-(2**60), 2**60) if kind else st.text("abcäß–𝄞", min_size=1, max_size=4)
        return draw(several(st.sampled_from(draw(st.lists(pool, min_size=1, max_size=4)))))

    made = {"user_id": ids(), "item_id": ids()}
    if draw(st.booleans()):
        made["weight"] = draw(several(st.floats(-100, 100, width=32).map(float)))
    if draw(st.booleans()):
        seconds = st.integers(1_500_000_000, 1_700_000_000)
        made["timestamp"] = draw(several(seconds))
    if draw(st.booleans()):
        made["event"] = draw(several(st.sampled_from(["view", "buy"])))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("csv")


@given(columns(), st.sampled_from([*KINDS]))
def test_a_frame_is_read_as_a_csv_file_with_the_same_values_is(folder, columns, kind):
    path = datasets.write_csv(folder / "interactions.csv", columns)
    from_file, from_frame = wb.read(path), wb.read(KINDS[kind](columns))
    assert datasets.as_rows(from_frame.source.interactions) == datasets.as_rows(
        from_file.source.interactions
    )
    assert (from_frame.user_ids, from_frame.item_ids) == (from_file.user_ids, from_file.item_ids)


@given(columns(), st.sampled_from([*KINDS]))
def test_what_was_read_can_be_read_again(columns, kind):
    first = wb.read(KINDS[kind](columns))
    again = wb.read(first.interactions())
    assert datasets.as_rows(again.source.interactions) == datasets.as_rows(first.source.interactions)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pd.Categorical(["b", "a", "b"]), ["b", "a"]),
        (pd.array([2, 1, 2], dtype="Int64"), ["2", "1"]),
        (np.array([2, 1, 2], dtype=np.uint64), ["2", "1"]),
        ([Decimal(2), Decimal(1), Decimal(2)], ["2", "1"]),
    ],
    ids=["categorical", "nullable", "unsigned", "decimal"],
)
def test_ids_of_odd_types_are_read(ids, expected):
    assert wb.read(frame(user_id=ids)).user_ids == expected


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"user_id": ["a", None, "b"]}, "ratings, row 2: user_id is empty: leave out rows without one"),
        ({"user_id": ["a", "", "b"]}, "ratings, row 2: user_id is empty"),
        (
            {"user_id": pd.array([1, None, 2], dtype="Int64")},
            "ratings, row 2: user_id is empty: leave out rows without one",
        ),
        (
            {"user_id": [1.0, np.nan, 2.0]},
            "column user_id holds double.* as in row 2. Leave such rows out.*astype",
        ),
        ({"user_id": [1.5, 2.5, 3.5]}, "column user_id holds double, but should hold text or integers"),
        ({"user_id": [b"a", b"b", b"c"]}, "column user_id holds binary, but should hold text"),
        ({"user_id": [True, False, True]}, "column user_id holds bool, but should hold text"),
        (
            {"user_id": [NOON] * 3},
            r"column user_id holds timestamp\[us, tz=UTC\], but should hold text",
        ),
        ({"user_id": [Decimal("1.5")] * 3}, "column user_id holds decimal128.* but should hold text"),
        ({"user_id": ["a", 1, "b"]}, "ratings, row 2: column user_id holds '1' of the type int"),
        ({"user_id": [["a"], ["b"], []]}, "column user_id holds list"),
        ({"item_id": None}, "ratings: column item_id is missing; the columns are: user_id"),
        ({"weight": [1.0, np.nan, 2.0]}, "ratings, row 2: weight is empty"),
        ({"weight": [1.0, np.inf, 2.0]}, "ratings, row 2: weight is inf, which isn't a finite number"),
        ({"weight": ["1", "x", "2"]}, "ratings, row 2: weight is 'x', which isn't a number"),
        ({"weight": [NOON] * 3}, "weight isn't a column of numbers"),
        ({"timestamp": [dt.timedelta(1)] * 3}, "column timestamp holds duration"),
        ({"timestamp": pd.to_datetime([NOON, None, NOON])}, "ratings, row 2: timestamp is empty"),
        ({"timestamp": [1.7e12] * 3}, "ratings, row 1: timestamp is 1700000000000"),
    ],
)
def test_what_cannot_be_read_names_the_frame_the_column_and_the_row(changes, error):
    with pytest.raises(InputError, match=error):
        wb.read(frame(**changes), name="ratings")


def test_an_error_names_the_frames_own_column():
    odd = pd.DataFrame({"who": ["a", None], "movieId": ["x", "y"]})
    with pytest.raises(InputError, match=r"row 2: user_id \(who\) is empty"):
        wb.read(odd, columns={"user_id": "who"})
    with pytest.raises(OptionError, match="columns is 'x=who'"):
        wb.read(odd, columns={"x": "who"})


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([True, False, True], [1, 0, 1]),
        ([Decimal("1.5"), Decimal(2), Decimal(0)], [1.5, 2, 0]),
        (pd.array([1, 2, 3], dtype="Int8"), [1, 2, 3]),
        (pd.Categorical([3, 2, 3]), [3, 2, 3]),
        (["1", " 2", "3.5"], [1, 2, 3.5]),
    ],
    ids=["bool", "decimal", "nullable", "categorical", "text"],
)
def test_weights_of_odd_types_are_read(weights, expected):
    assert wb.read(frame(weight=weights)).interactions()["weight"] == expected


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime([NOON] * 3),
        pd.to_datetime([NOON] * 3).tz_convert("Asia/Tokyo"),
        pd.to_datetime([NOON] * 3).tz_localize(None),
        [NOON.timestamp()] * 3,
        [NOON.isoformat()] * 3,
        pd.Categorical([NOON.isoformat()] * 3),
        [NOON] * 3,
    ],
    ids=["utc", "zone", "naive", "numbers", "text", "categorical", "objects"],
)
def test_times_of_odd_types_are_read(times):
    assert wb.read(frame(timestamp=times)).interactions()["timestamp"] == [NOON.timestamp()] * 3


def test_polars_types_are_read():
    made = pl.DataFrame(
        {
            "user_id": pl.Series(["b", "a"], dtype=pl.Categorical),
            "item_id": pl.Series(["y", "x"], dtype=pl.Enum(["x", "y"])),
            "weight": pl.Series([Decimal("1.5"), Decimal(2)]),
            "timestamp": pl.Series([NOON, NOON]).dt.convert_time_zone("Asia/Tokyo"),
        }
    )
    read = wb.read(made.lazy())
    assert read.interactions().rows() == [
        {"user_id": "b", "item_id": "y", "weight": 1.5, "timestamp": NOON.timestamp()},
        {"user_id": "a", "item_id": "x", "weight": 2.0, "timestamp": NOON.timestamp()},
    ]
    with pytest.raises(InputError, match="column user_id holds"):
        wb.read(pl.DataFrame({"user_id": pl.Series([object()], dtype=pl.Object), "item_id": [1]}))


def test_items_and_users_come_from_frames_and_files(tmp_path):
    items = {"movieId": ["x", "y"], "title": ["X", None], "genre": ["a|b", "b"], "year": [1990, None]}
    options = {"item_features": ["genre"], "item_attributes": ["genre", "year"]}
    path = datasets.write_csv(
        tmp_path / "items.csv", {name: [own or "" for own in column] for name, column in items.items()}
    )
    own = [wb.read(frame(), items=one, **options) for one in (pd.DataFrame(items), path)]
    of_frame, of_file = (one.source.items for one in own)
    assert of_frame.features == of_file.features == [["genre:a", "genre:b"], ["genre:b"]]
    assert of_frame.titles == of_file.titles == ["X", ""]
    assert [column.name for column in of_frame.attributes] == ["genre", "year"]
    users = pl.DataFrame({"user_id": ["a", "b"], "age": [[1, 2], [3]]})
    made = wb.read(datasets.write_rows(tmp_path / "rows.csv"), users=users, user_features=["age"])
    assert made.source.users.features == [["age:1", "age:2"], ["age:3"]]
    with pytest.raises(InputError, match="items, row 2: item_id 'x' is also in row 1"):
        wb.read(frame(), items=pd.DataFrame({"item_id": ["x", "x"]}))
    with pytest.raises(InputError, match="items: column genre is missing"):
        wb.read(frame(), items=pd.DataFrame({"item_id": ["x"]}), item_features=["genre"])
    with pytest.raises(OptionError, match="--item-features"):
        wb.read(frame(), item_features=["genre"])


def test_options_about_the_data_have_their_effect():
    shop = frame(event=["view", "buy", "view"], timestamp=pd.to_datetime([NOON] * 3))
    made = wb.read(shop, event_weights={"view": 1, "buy": 5}, half_life_days=10)
    assert made.interactions()["weight"] == [1, 5, 1]
    rated = wb.read(frame(weight=[3, 4, 5]), positive_from=4)
    assert rated.interactions()["weight"] == [0, 4, 5]
    dated = wb.read(frame(timestamp=["01/05/2024"] * 3), date_format="d/m/Y")
    assert dated.interactions()["timestamp"] == [NOON.timestamp() - 12 * 3600] * 3
    with pytest.raises(OptionError, match="--separator is ';', but should be left out"):
        wb.read(frame(), separator=";")
    with pytest.raises(ArgumentError, match="no option colums; did you mean columns"):
        wb.read(frame(), colums={})


def test_data_is_described_in_a_line():
    made = wb.read(frame(), items=pd.DataFrame({"item_id": ["x", "y"]}))
    assert repr(made) == "<interactions: 3 interactions of 2 users and 2 items; items: 2 rows>"
    assert len(made) == 3
