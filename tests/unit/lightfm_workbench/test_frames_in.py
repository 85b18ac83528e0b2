import datetime as dt
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_workbench.frames_in import is_frame, source_of
from trainer.errors import InputError, OptionError

ROWS = {"user_id": ["a", "b", "a"], "item_id": [1, 2, 3]}
MAKERS = {
    "mapping": dict,
    "arrow": pa.table,
    "batch": lambda own: pa.table(own).to_batches()[0],
    "stream": lambda own: pa.table(own).to_reader(),
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
}


def read(frame, *, required=("user_id", "item_id"), optional=(), columns=None, as_named=()):
    source = source_of(
        frame,
        "ratings",
        required=required,
        optional=optional,
        columns=columns or {},
        as_named=as_named,
    )
    return source.table.to_pydict()


@pytest.mark.parametrize("kind", MAKERS)
def test_frames_of_all_kinds_give_the_same_columns(kind):
    frame = MAKERS[kind]({**ROWS, "notes": ["x", "y", "z"]})
    assert is_frame(frame)
    assert read(frame) == ROWS


@pytest.mark.parametrize("kind", MAKERS)
def test_columns_have_other_names(kind):
    other = {"who": ROWS["user_id"], "movieId": ROWS["item_id"]}
    assert read(MAKERS[kind](other), columns={"user_id": "who"}) == ROWS


@pytest.mark.parametrize("kind", MAKERS)
def test_a_missing_column_and_an_empty_frame_are_errors_that_name_the_frame(kind):
    with pytest.raises(
        InputError, match="ratings: column user_id is missing; the columns are: x, item"
    ):
        read(MAKERS[kind]({"x": [1], "item_id": [1]}))
    with pytest.raises(OptionError, match="columns is 'user_id=y', but should be a column of ratings"):
        read(MAKERS[kind]({"x": [1], "item_id": [1]}), columns={"user_id": "y"})


@pytest.mark.parametrize("kind", [own for own in MAKERS if own not in ("batch", "arrow", "stream")])
def test_an_empty_frame_is_an_error(kind):
    with pytest.raises(InputError, match="ratings: there is no row"):
        read(MAKERS[kind]({"user_id": [], "item_id": []}))


def test_an_index_with_names_is_columns():
    # pandas makes a range of consecutive numbers, which Arrow would drop.
    indexed = pd.DataFrame({"user_id": [0, 1, 2], "item_id": [1, 2, 3]}).set_index("user_id")
    assert read(indexed) == {"user_id": [0, 1, 2], "item_id": [1, 2, 3]}
    both = pd.DataFrame({**ROWS, "weight": [1, 2, 3]}).set_index(["user_id", "item_id"])
    assert read(both, optional=("weight",)) == {**ROWS, "weight": [1, 2, 3]}


def test_an_index_without_a_name_is_not_taken_for_ids():
    frame = pd.DataFrame({"item_id": [1, 2]}, index=["a", "b"])
    remedy = r"name it if it has the ids: frame.rename_axis\('user_id'\)"
    with pytest.raises(InputError, match=f"ratings: column user_id is missing, and the .*{remedy}"):
        read(frame)
    assert read(frame.rename_axis("user_id")) == {"user_id": ["a", "b"], "item_id": [1, 2]}


def test_labels_of_columns_that_are_no_text():
    frame = pd.DataFrame([["a", 1], ["b", 2]])
    assert read(frame, columns={"user_id": 0, "item_id": 1}) == {
        "user_id": ["a", "b"],
        "item_id": [1, 2],
    }


@pytest.mark.parametrize(
    "given", [pd.Series([1, 2]), pl.Series([1, 2]), np.zeros(3), [{"user_id": 1}], 3, pa.array([1])]
)
def test_what_is_no_frame_is_refused(given):
    with pytest.raises(
        ArgumentError, match=rf"ratings is of the kind \S+{type(given).__name__}, but should"
    ):
        read(given)
    assert not is_frame(given)


@pytest.mark.parametrize("make", [dict, lambda own: pd.DataFrame(own, dtype=object)])
def test_a_column_of_several_types_names_the_row(make):
    frame = make({"user_id": [None, "a", 7], "item_id": [1, 2, 3]})
    expected = (
        "ratings, row 3: column user_id holds '7' of the type int, but row 2 holds 'a' of the type "
        "str: convert the column to one type"
    )
    with pytest.raises(InputError, match=expected):
        read(frame)


def test_odd_columns_that_nobody_needs_do_not_matter():
    odd = pd.DataFrame({**ROWS, "notes": ["x", 1, {2}], "z": [1j, 2j, 3j]})
    assert read(odd) == ROWS
    with pytest.raises(InputError, match="ratings, row 2: column notes holds '1' of the type int"):
        read(odd, as_named=["notes"])
    with pytest.raises(InputError, match="ratings: column z holds values that Arrow can't hold"):
        read(odd, as_named=["z"])


def test_columns_that_are_there_twice_or_differ_in_length():
    twice = pd.DataFrame([["a", "b", 1]], columns=["user_id", "user_id", "item_id"])
    with pytest.raises(InputError, match="ratings: column user_id is there more than once"):
        read(twice)
    with pytest.raises(InputError, match="different lengths: user_id has 2, item_id has 1"):
        read({"user_id": ["a", "b"], "item_id": [1]})


def test_text_that_is_no_utf_8_names_the_row():
    bad = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff")]
    )
    with pytest.raises(InputError, match=r"ratings, row 2: column user_id .* isn't UTF-8"):
        read(pa.table({"user_id": bad, "item_id": [1, 2]}))


def test_values_of_many_types_come_as_arrow_holds_them():
    when = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    frame = pd.DataFrame(
        {
            "user_id": pd.Categorical(["a", "b"]),
            "item_id": pd.array([1, 2], dtype="Int64"),
            "weight": [Decimal("1.5"), Decimal(2)],
            "timestamp": pd.to_datetime([when, when]),
            "event": [uuid.UUID(int=1).hex, None],
        }
    )
    found = read(frame, optional=("weight", "timestamp", "event"))
    assert found["user_id"] == ["a", "b"]
    assert found["item_id"] == [1, 2]
    assert found["timestamp"] == [when, when]
    assert found["event"][1] is None
