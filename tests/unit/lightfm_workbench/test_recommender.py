import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lightfm_workbench as wb
from lightfm_retriever.hosting.errors import ArgumentError
from retriever.asking.requests import RecommendRequest, SimilarItemsRequest
from retriever.errors import InvalidArgumentError, UnknownIdError
from trainer.errors import InputError


def answered(model, user_id, **options):
    """The same question, asked alone."""
    found = model.ask(RecommendRequest(user_id, **options))
    return [(item.item_id, pytest.approx(item.score, rel=1e-5)) for item in found.items]


def by_user(frame, name="user_id"):
    rows = {}
    for row in frame.rows():
        rows.setdefault(row[name], []).append((row["item_id"], row["score"]))
    return rows


def test_several_users_get_what_each_gets_alone(model):
    found = model.recommend(["u3", "u1"], limit=2)
    assert found.columns == ["user_id", "rank", "item_id", "score", "source"]
    assert by_user(found) == {user: answered(model, user, limit=2) for user in ("u3", "u1")}
    assert found["rank"] == [1, 2, 1, 2]
    assert found["source"] == ["personalized"] * 4
    assert found["user_id"] == ["u3", "u3", "u1", "u1"]


def test_more_users_than_one_batch_holds(model):
    users = model.user_ids * 20
    found = model.recommend(users, limit=1, exclude_seen=False)
    assert found["user_id"] == users
    # So many results of one user that a batch holds few users.
    assert len(model.recommend(model.user_ids, limit=1000, exclude_seen=False)) == 24 * 16


@pytest.mark.parametrize(
    "users",
    [
        ["u3", "u1"],
        ("u3", "u1"),
        np.array(["u3", "u1"]),
        pd.Series(["u3", "u1"]),
        pl.Series(["u3", "u1"]),
        pd.DataFrame({"user_id": ["u3", "u1"]}),
        pl.LazyFrame({"userId": ["u3", "u1"]}),
        pa.table({"user_id": ["u3", "u1"], "other": [1, 2]}),
        {"user_id": ["u3", "u1"]},
    ],
    ids=lambda own: type(own).__name__,
)
def test_users_come_in_many_forms(model, users):
    assert [*dict.fromkeys(model.recommend(users)["user_id"])] == ["u3", "u1"]


def test_whole_numbers_are_ids():
    ids = [1, 1, 2, 2, 3, 3]
    numbers = wb.read({"user_id": ids, "item_id": [10, 20, 20, 30, 30, 10]})
    model = wb.fit(numbers, model="lightfm", split="none", components=2, epochs=1)
    assert model.recommend(1)["user_id"] == ["1"]
    assert model.recommend(pd.Series([1, 2]))["user_id"] == ["1", "2"]
    assert model.similar(10)["to_item_id"] == ["10", "10"]


def test_sessions_have_names_or_positions(model):
    found = model.recommend(sessions=[["i1", "i2"], {"i3": 2.0, "i4": 1.0}], limit=2)
    assert found["session"] == [0, 0, 1, 1]
    assert {*found["source"]} == {"folded_in"}
    named = model.recommend(sessions={"a": ["i1", "i2"], "b": {"i3": 2.0, "i4": 1.0}}, limit=2)
    assert named["session"] == ["a", "a", "b", "b"]
    assert named["item_id"] == found["item_id"]


def test_results_have_the_columns_that_are_asked_for(model):
    found = model.recommend(
        ["u3", "u1"], limit=1, titles=True, attributes=["genres", "year"], explain=True
    )
    assert found.columns[5:] == ["title", "genres", "year", "bias", "contributions"]
    [first, _] = found.rows()
    number = int(first["item_id"].removeprefix("i"))
    assert (first["title"], first["year"]) == (f"Film {number}", 1990.0 + number)
    assert len(first["genres"]) == 1
    # No result, but the same columns.
    none = model.recommend(["u3"], filter=wb.in_range("year", max=1), attributes=["year"])
    assert (len(none), none.columns[5:]) == (0, ["year"])


def test_conditions_and_exclusions_hold(model):
    found = model.recommend(
        model.user_ids, filter=[wb.any_of("genres", "Drama"), wb.in_range("year", max=1999)]
    )
    assert {*found["item_id"]} <= {"i0", "i3", "i6", "i9"}
    assert len(found)
    [best, second] = model.recommend("u3", limit=2)["item_id"]
    assert model.recommend("u3", limit=1, exclude_item_ids=[best])["item_id"] == [second]


def test_similar_items(model):
    found = model.similar(["i1", "i2"], limit=3)
    assert found.columns[:3] == ["to_item_id", "rank", "item_id"]
    alone = model.ask(SimilarItemsRequest("i2", limit=3))
    assert by_user(found, "to_item_id")["i2"] == [
        (item.item_id, pytest.approx(item.score, rel=1e-5)) for item in alone.items
    ]
    assert {*found["source"]} == {"similar"}


def test_a_page_goes_on_after_another(model):
    request = {"limit": 2, "paginate": True, "exclude_seen": False}
    first = model.ask(RecommendRequest("u3", **request))
    second = model.ask(RecommendRequest("u3", **request, page_token=first.next_page_token))
    ids = [item.item_id for item in (*first.items, *second.items)]
    assert ids == model.recommend("u3", limit=4, exclude_seen=False)["item_id"]


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (lambda own: own.recommend(), ArgumentError, "exactly one of user_ids, sessions and features"),
        (lambda own: own.recommend("u3", sessions=[["i1"]]), ArgumentError, "exactly one of"),
        (lambda own: own.recommend(["u3", "u99"]), UnknownIdError, "user 'u99' isn't in version"),
        (lambda own: own.recommend("u3", limit=0), InvalidArgumentError, "limit: is 0"),
        (lambda own: own.recommend(["u3"] * 2, limit=1001), InvalidArgumentError, "limit: is 1001"),
        (lambda own: own.recommend("u3", limits=1), ArgumentError, "has no option 'limits'"),
        (lambda own: own.recommend("u3", paginate=True), ArgumentError, r"used with ask\(\)"),
        (lambda own: own.recommend([1.5]), ArgumentError, r"user_ids\[0\] is 1.5"),
        (
            lambda own: own.recommend({"user_id": ["u3", None]}),
            InputError,
            "user_ids, row 2: user_id is",
        ),
        (lambda own: own.recommend({"x": [1]}), InputError, "user_ids: column user_id is missing"),
        (lambda own: own.recommend(sessions=["i1"]), ArgumentError, "takes a list of lists"),
        (
            lambda own: own.recommend("u3", filter=wb.any_of("genre", "Drama")),
            InvalidArgumentError,
            "'genre' isn't an attribute",
        ),
        (lambda own: own.similar("i99"), UnknownIdError, "item 'i99' isn't in version"),
    ],
)
def test_a_wrong_question_is_refused(model, ask, error, text):
    with pytest.raises(error, match=text):
        ask(model)


def test_unknown_users_may_get_popular_items(model):
    found = model.recommend(["u3", "u99"], limit=1, unknown_ids="popular")
    assert found["source"] == ["personalized", "popular"]
