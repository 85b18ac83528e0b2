"""Who is asking and what to be like: queries worked out by hand."""

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


def test_a_known_user_is_the_trained_vector_and_has_what_was_seen():
    subject = asked("user-0")
    assert subject.source == "personalized"
    assert subject.query.tolist() == [1, 2, 1]
    assert subject.constant == 3
    assert subject.own.tolist() == [1, 3]
    assert list(subject.unknown) == []


def test_a_session_is_its_parts_added_up_without_a_bias():
    subject = asked(session(3, 0))
    assert subject.source == "folded_in"
    assert subject.query.tolist() == [0.5, 2, 1]
    assert subject.constant == 0
    assert subject.own.tolist() == [0, 3]


def test_weights_are_relative_and_repeated_items_add_theirs_up():
    expected = asked(session(0, 3, weights=[3, 1])).query.tolist()
    assert expected == pytest.approx([0.75, 1, 1])
    for item_ids, weights in [
        ([0, 3, 0, 0], []),
        ([0, 3, 0], [2.0, 1.0, 1.0]),
        ([3, 0], [1e-30, 3e-30]),
        ([3, 0], [1e38, 3e38]),
    ]:
        assert asked(session(*item_ids, weights=weights)).query.tolist() == pytest.approx(expected)


def test_an_item_of_weight_0_counts_for_nothing_yet_is_the_sessions_own():
    subject = asked(session(2, 0, 1, weights=[0, 1, 0]))
    assert subject.query.tolist() == [1, 0, 1]
    assert subject.own.tolist() == [0, 1, 2]
    assert list(subject.parts().names) == ["item-0"]


@pytest.mark.parametrize("unknown_ids", [None, "ignore", "popular"])
def test_unknown_items_of_a_session_are_named_once_in_their_order(unknown_ids):
    subject = asked(WeightedItems(["zz", "item-1", "aa", "zz"]), unknown_ids)
    assert subject.source == "folded_in"
    assert subject.query.tolist() == [0, 2, 1]
    assert list(subject.unknown) == ["zz", "aa"]
    assert subject.own.tolist() == [1]


def test_unknown_items_of_weight_0_are_named_too():
    assert list(asked(WeightedItems(["zz", "item-1"], [0, 1])).unknown) == ["zz"]


@pytest.mark.parametrize("ask", [asked, alike])
@pytest.mark.parametrize("weights", [[], [1, 2, 0]])
def test_several_items_of_which_none_that_counts_is_known_are_as_one_unknown(ask, weights):
    subject = WeightedItems(["zz", "aa", "item-2"][: 3 if weights else 2], weights)
    for unknown_ids in (None, "ignore", "error"):
        with pytest.raises(UnknownIdError) as caught:
            ask(subject, unknown_ids)
        assert (caught.value.kind, caught.value.external_id) == ("item", "zz")
    popular = ask(subject, "popular")
    assert popular.source == "popular"
    assert list(popular.unknown) == ["zz", "aa"]
    # It isn't recommended what it has already.
    assert popular.own.tolist() == ([2] if weights else [])


def test_features_are_their_mean_as_in_training():
    subject = asked(UserFeatures(["country:DE", "age:25-34", "country:DE"]))
    assert subject.source == "features"
    assert subject.query.tolist() == [3, -1, 1]
    assert subject.constant == 2
    assert subject.own.tolist() == []


def test_unknown_features_do_not_thin_out_the_mean_of_the_known_ones():
    subject = asked(UserFeatures(["x:y", "age:25-34", "x:y"]))
    assert subject.query.tolist() == [1, 2, 1]
    assert subject.constant == 3
    assert list(subject.unknown) == ["x:y"]


@pytest.mark.parametrize(
    ("ask", "subject", "kind", "external_id"),
    [
        (asked, "nobody", "user", "nobody"),
        (asked, WeightedItems(["item-0", "b", "a"]), "item", "b"),
        (asked, UserFeatures(["age:25-34", "x:y"]), "feature", "x:y"),
        (alike, "nothing", "item", "nothing"),
        (alike, WeightedItems(["item-0", "b", "a"]), "item", "b"),
    ],
)
def test_the_first_unknown_id_fails_when_it_is_to_matter(ask, subject, kind, external_id):
    with pytest.raises(UnknownIdError) as caught:
        ask(subject, "error")
    assert (caught.value.kind, caught.value.external_id) == (kind, external_id)


@pytest.mark.parametrize(
    ("subject", "near", "said"),
    [
        (UserFeatures(["age:25-3"]), ("age:25-34",), r"\(did you mean 'age:25-34'\?\)$"),
        (UserFeatures(["Age:25-34"]), ("age:25-34",), r"\(did you mean 'age:25-34'\?\)$"),
        (UserFeatures(["sex:F"]), (), r"; there are features such as 'age:"),
        (WeightedItems(["ITEM-0"]), ("item-0",), r"\(did you mean 'item-0'\?\)$"),
        (" user-0", ("user-0",), r"\(did you mean 'user-0'\?\)$"),
        # Whose else an id is isn't told.
        ("user-00", (), r"isn't in version \S+$"),
    ],
)
def test_what_may_be_meant_by_an_unknown_id_is_said(subject, near, said):
    with pytest.raises(UnknownIdError, match=said) as caught:
        asked(subject, "error")
    assert caught.value.near == near


def test_a_version_without_user_features_knows_none():
    none = {"user_features": None, "user_feature_vectors": None}
    with pytest.raises(
        UnknownIdError, match="trained without user features: train with --user-features"
    ):
        asked(UserFeatures(["age:25-34"]), **none)
    popular = asked(UserFeatures(["age:25-34"]), "popular", **none)
    assert (popular.source, list(popular.unknown)) == ("popular", ["age:25-34"])


def test_a_version_that_cannot_fold_in_says_so():
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
    together = parts.vectors.sum(axis=0, dtype=np.float64)
    assert len(parts.names) == len(parts.vectors)
    if parts.cosine:
        query = found.query / np.linalg.norm(found.query)
        np.testing.assert_allclose(together, query, atol=1e-6)
    elif found.source == "personalized":
        # Folded in from what was seen: not the trained vector.
        folded = FoldIn(MEAN).parts(np.float32([[0, 2], [0, 4]]), np.ones(2, dtype=np.float32))
        np.testing.assert_array_equal(together, folded.sum(axis=0))
    else:
        np.testing.assert_allclose(together, found.query[:-1], atol=1e-6)
    assert parts.bias == found.constant
