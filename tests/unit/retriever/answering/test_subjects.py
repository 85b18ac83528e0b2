"""Who is asking and what to be like: queries worked out by hand.

That any subject's answer is right is in test_all_questions.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from lightfm_retriever.publication.vectors.fold_in import FoldIn
from retriever.answering.questions import UserFeatures, WeightedItems
from retriever.answering.subjects import item_subject, user_subject
from retriever.errors import InvalidArgumentError, NotPublishedError, UnknownIdError
from tests import retrievable
from tests.retrievable import DictIdMap

ITEMS = [[1, 0, 5], [0, 2, 6], [-3, 0, 7], [0, 4, 8]]
USERS = [[1, 2, 3], [4, 5, 6]]
# ū = x̄ = 0, h = 0, P = R = 1: a session's user is the mean of its items.
MEAN = np.array([[0, 0], [0, 0], [0, 0], [1, 0], [0, 1], [1, 0], [0, 1]], dtype=np.float32)


def snapshot(**changes):
    published = {
        "fold_in": MEAN,
        "user_features": DictIdMap(["age:25-34", "country:DE"]),
        "user_feature_vectors": np.array([[1, 2, 3], [5, -4, 1]], dtype=np.float32),
        **changes,
    }
    return retrievable.snapshot(ITEMS, USERS, seen=[[1, 3], []], **published)


def session(*item_ids, weights=()):
    return WeightedItems([f"item-{row}" for row in item_ids], weights)


def asked(subject, unknown_ids=None, **changes):
    return user_subject(snapshot(**changes), subject, unknown_ids)


def alike(subject, unknown_ids=None, **changes):
    return item_subject(snapshot(**changes), subject, unknown_ids)


@pytest.mark.parametrize(
    ("subject", "source", "query", "constant", "own", "unknown"),
    [
        # A known user is the trained vector, and has what was seen.
        ("user-0", "personalized", [1, 2, 1], 3, [1, 3], []),
        # A session is its parts added up, without a bias.
        (session(3, 0), "folded_in", [0.5, 2, 1], 0, [0, 3], []),
        # An item of weight 0 counts for nothing, yet is the session's own.
        (session(2, 0, 1, weights=[0, 1, 0]), "folded_in", [1, 0, 1], 0, [0, 1, 2], []),
        # What is unknown is named once, in its order, of weight 0 too.
        (WeightedItems(["zz", "item-1", "aa", "zz"]), "folded_in", [0, 2, 1], 0, [1], ["zz", "aa"]),
        (WeightedItems(["zz", "item-1"], [0, 1]), "folded_in", [0, 2, 1], 0, [1], ["zz"]),
        # Features are their mean as in training, which unknown ones don't thin out.
        (UserFeatures(["country:DE", "age:25-34", "country:DE"]), "features", [3, -1, 1], 2, [], []),
        (UserFeatures(["x:y", "age:25-34", "x:y"]), "features", [1, 2, 1], 3, [], ["x:y"]),
    ],
)
def test_a_subject_is_a_query(subject, source, query, constant, own, unknown):
    found = asked(subject)
    assert (found.source, found.query.tolist(), found.constant) == (source, query, constant)
    assert (found.own.tolist(), [*found.unknown]) == (own, unknown)


def test_weights_are_relative_and_repeated_items_add_theirs_up():
    for item_ids, weights in [
        ([0, 3], [3, 1]),
        ([0, 3, 0, 0], []),
        ([0, 3, 0], [2.0, 1.0, 1.0]),
        ([3, 0], [1e-30, 3e-30]),
        ([3, 0], [1e38, 3e38]),
    ]:
        query = asked(session(*item_ids, weights=weights)).query.tolist()
        assert query == pytest.approx([0.75, 1, 1])
    assert asked(session(2, 0, weights=[0, 1])).parts().names == ["item-0"]


@pytest.mark.parametrize("ask", [asked, alike])
@pytest.mark.parametrize("weights", [[], [1, 2, 0]])
def test_several_items_of_which_none_that_counts_is_known_are_as_one_unknown(ask, weights):
    subject = WeightedItems(["zz", "aa", "item-2"][: 3 if weights else 2], weights)
    for unknown_ids in (None, "ignore", "error"):
        with pytest.raises(UnknownIdError) as caught:
            ask(subject, unknown_ids)
        assert (caught.value.kind, caught.value.external_id) == ("item", "zz")
    popular = ask(subject, "popular")
    assert (popular.source, [*popular.unknown]) == ("popular", ["zz", "aa"])
    # It isn't recommended what it has already.
    assert popular.own.tolist() == ([2] if weights else [])


@pytest.mark.parametrize(
    ("ask", "subject", "unknown", "near", "said"),
    [
        (asked, UserFeatures(["age:25-34", "age:25-3"]), ("feature", "age:25-3"), "age:25-34", ""),
        (asked, UserFeatures(["Age:25-34"]), ("feature", "Age:25-34"), "age:25-34", ""),
        (
            asked,
            UserFeatures(["sex:F"]),
            ("feature", "sex:F"),
            "",
            "such as 'age:25-34', 'country:DE'$",
        ),
        (asked, UserFeatures(["age:99"]), ("feature", "age:99"), "", "such as 'age:25-34'$"),
        (asked, WeightedItems(["item-0", "ITEM-0"]), ("item", "ITEM-0"), "item-0", ""),
        (alike, WeightedItems(["item-0", "b", "a"]), ("item", "b"), "", r"isn't in version \S+$"),
        (alike, "nothing", ("item", "nothing"), "", r"isn't in version \S+$"),
        (asked, " user-0", ("user", " user-0"), "user-0", ""),
        # Whose else an id is isn't told.
        (asked, "user-00", ("user", "user-00"), "", r"isn't in version \S+$"),
    ],
)
def test_what_may_be_meant_by_the_first_unknown_id_is_said(ask, subject, unknown, near, said):
    with pytest.raises(UnknownIdError, match=said or rf"\(did you mean '{near}'\?\)$") as caught:
        ask(subject, "error")
    assert (caught.value.kind, caught.value.external_id) == unknown
    assert caught.value.near == ((near,) if near else ())


def test_a_version_that_lacks_what_a_subject_needs_says_so():
    none = {"user_features": None, "user_feature_vectors": None}
    features = UserFeatures(["age:25-34"])
    with pytest.raises(
        UnknownIdError, match="trained without user features: train with --user-feature"
    ):
        asked(features, **none)
    popular = asked(features, "popular", **none)
    assert (popular.source, [*popular.unknown]) == ("popular", ["age:25-34"])
    with pytest.raises(NotPublishedError, match="what folds sessions in"):
        asked(session(0), fold_in=None)


def test_one_item_is_its_embedding_and_several_the_mean_of_their_directions():
    assert alike("item-3").query.tolist() == [0, 4]
    # Each counts the same, however long.
    query = alike(WeightedItems(["item-0", "item-3"])).query
    assert query[0] == query[1] > 0
    query = alike(WeightedItems(["item-0", "item-3"], [1, 3])).query
    assert query[1] == pytest.approx(3 * query[0])
    assert alike(WeightedItems(["item-3", "item-0"])).own.tolist() == [0, 3]


def test_items_that_point_in_opposite_directions_have_no_mean():
    with pytest.raises(InvalidArgumentError, match="opposite directions") as caught:
        alike(WeightedItems(["item-0", "item-2"], field="items"))
    assert caught.value.field == "items.item_ids"
    # One that is a little heavier gives a direction.
    assert alike(WeightedItems(["item-0", "item-2"], [1, 1.5])).query[0] < 0


@pytest.mark.parametrize(
    ("ask", "subject"),
    [
        (asked, "user-0"),
        (asked, session(0, 1, 2, weights=[1, 2, 4])),
        (asked, UserFeatures(["age:25-34", "country:DE"])),
        (alike, "item-1"),
        (alike, WeightedItems(["item-0", "item-1"], [1, 2])),
    ],
)
def test_the_parts_of_a_query_add_up_to_it(ask, subject):
    found = ask(subject)
    parts = found.parts()
    expected = found.query / np.linalg.norm(found.query) if parts.cosine else found.query[:-1]
    if found.source == "personalized":
        # Folded in from what was seen: not the trained vector.
        seen = FoldIn(MEAN).parts(np.float32([[0, 2], [0, 4]]), np.ones(2, dtype=np.float32))
        expected = seen.sum(axis=0)
    np.testing.assert_allclose(parts.vectors.sum(axis=0, dtype=np.float64), expected, atol=1e-6)
    assert len(parts.names) == len(parts.vectors)
    assert parts.bias == found.constant
