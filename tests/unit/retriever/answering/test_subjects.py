"""What is said of unknown ids, and where scores come from; the queries are in test_all_questions.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.vectors.fold_in import FoldIn
from retriever.answering import queries
from retriever.answering.questions import Options, UserFeatures, WeightedItems
from retriever.answering.subjects import item_subject, user_subject
from retriever.errors import NotPublishedError, UnknownIdError
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


def alike(subject, unknown_ids):
    return item_subject(snapshot(), subject, unknown_ids)


@pytest.mark.parametrize("weight", [1e-30, 1e38])
def test_weights_may_add_up_to_more_or_less_than_float32_can_hold(weight):
    weights = [2 * weight, 3 * weight, 3 * weight]
    assert asked(session(3, 0, 0, weights=weights)).query.tolist() == pytest.approx([0.75, 1, 1])


@pytest.mark.parametrize(
    ("ask", "subject", "unknown", "near", "said"),
    [
        (asked, UserFeatures(["age:25-34", "age:25-3"]), ("feature", "age:25-3"), "age:25-34", ""),
        (asked, UserFeatures(["sex:F"]), ("feature", "sex:F"), "", "as 'age:25-34', 'country:DE'$"),
        (asked, UserFeatures(["age:99"]), ("feature", "age:99"), "", "such as 'age:25-34'$"),
        (asked, WeightedItems(["item-0", "ITEM-0"]), ("item", "ITEM-0"), "item-0", ""),
        (alike, WeightedItems(["item-0", "b", "a"]), ("item", "b"), "", r"version \S+; nor is 'a'$"),
        (
            alike,
            WeightedItems([*"abcdef"]),
            ("item", "a"),
            "",
            r"isn't in version \S+; nor are 'b', 'c', 'd' and 2 more$",
        ),
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
    with pytest.raises(UnknownIdError, match="has no user features: train with --user-feature"):
        asked(features, **none)
    popular = asked(features, "popular", **none)
    assert (popular.source, [*popular.unknown]) == ("popular", ["age:25-34"])
    with pytest.raises(NotPublishedError, match="fold-in data"):
        asked(session(0), fold_in=None)


# ---- where scores come from: parts that add up to them

FEATURES = ["a:1", "b:2", "c:3", "d:4"]
EXPLAINED = Options(explain=True, limit=12, exclude_seen=False)


def explained(seed, **changes):
    random = np.random.default_rng(seed)
    items, users = random.normal(size=(2, 12, 5)).astype(np.float32)
    seen = [sorted(random.permutation(12)[: random.integers(1, 6)].tolist()) for _ in users]
    seen[0] = []
    published = {
        "fold_in": FoldIn.build(items, users, retrievable.ragged(seen), seed=1).array,
        "user_features": DictIdMap(FEATURES),
        "user_feature_vectors": random.normal(size=(4, 5)).astype(np.float32),
        **changes,
    }
    return retrievable.snapshot(items, users, seen=seen, **published)


# No more of them than are shown, so that only what is below 0 may be left out.
weights = st.lists(st.floats(0.25, 4, width=32), min_size=3, max_size=3)
names = st.lists(st.sampled_from([f"item-{row}" for row in range(12)]), min_size=3, max_size=3)
items = st.builds(WeightedItems, names, weights)
features = st.lists(st.sampled_from(FEATURES), min_size=1, max_size=3).map(UserFeatures)
of_users = st.tuples(st.just(False), items | features)
of_items = st.tuples(st.just(True), st.sampled_from(["item-0", "item-7"]) | items)


def assert_tidy(explanation):
    scores = [score for _, score in explanation.contributions]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)
    assert len(scores) == len(dict(explanation.contributions)) <= 3


@given(st.integers(0, 99), of_users | of_items)
def test_contributions_and_the_bias_add_up_to_the_score(seed, asked):
    similar, subject = asked
    own = explained(seed)
    ask = retrievable.similar_items if similar else retrievable.recommend
    plan = queries.plan_similar_items if similar else queries.plan_recommend
    parts = plan(own, subject, EXPLAINED).subject.parts()
    answer = ask(own, subject, EXPLAINED)
    for row, score, explanation in zip(answer.rows, answer.scores, answer.explanations, strict=True):
        assert_tidy(explanation)
        assert explanation.of_features == isinstance(subject, UserFeatures)
        # What each part contributed, those of 0 or less too.
        vector = np.float64(own.model.item_embeddings[row])
        vector /= np.linalg.norm(vector) if similar else 1
        each = dict(zip(parts.names, (parts.vectors @ vector).tolist(), strict=True))
        told = dict(explanation.contributions)
        assert told == pytest.approx({name: each[name] for name in told}, abs=1e-5)
        # Whatever isn't told took something away.
        untold = [value for name, value in each.items() if name not in told]
        assert all(value <= 1e-5 for value in untold)
        assert sum(told.values()) + sum(untold) + explanation.bias == pytest.approx(score, abs=1e-4)
        assert not similar or explanation.bias == 0
        if isinstance(subject, str):
            assert told == (pytest.approx({subject: score}, abs=1e-5) if score > 0 else {})


def test_of_many_the_three_largest_are_told():
    # Item r's embedding is r + 1 long, and all point in the same direction.
    vectors = np.stack([np.arange(1, 9), np.zeros(8), np.full(8, 0.5)], axis=1)
    own = retrievable.snapshot(vectors, vectors[:1], fold_in=MEAN)
    answer = retrievable.recommend(own, session(0, 5, 2, 6, 1), Options(explain=True, limit=1))
    (explanation,) = answer.explanations
    assert [name for name, _ in explanation.contributions] == ["item-6", "item-5", "item-2"]
    # Item 7's length of 8 times a fifth of each.
    expected = [8 * length / 5 for length in (7, 6, 3)]
    assert [score for _, score in explanation.contributions] == pytest.approx(expected)
    assert explanation.bias == 0.5
    assert answer.scores.tolist() == pytest.approx([8 * (1 + 6 + 3 + 7 + 2) / 5 + 0.5])


@pytest.mark.parametrize(
    ("user_id", "changes"), [("user-1", {}), ("user-0", {}), ("user-1", {"fold_in": None})]
)
def test_a_known_users_explanation_is_of_seen_items_if_any_and_has_both_biases(user_id, changes):
    own = explained(5, **changes)
    user = own.publication.users.row(user_id)
    seen = {f"item-{item}" for item in own.publication.seen[user]}
    answer = retrievable.recommend(own, user_id, Options(explain=True))
    for row, explanation in zip(answer.rows, answer.explanations, strict=True):
        assert_tidy(explanation)
        assert {name for name, _ in explanation.contributions} <= seen
        biases = own.publication.item_vectors[row, -1] + own.publication.user_vectors[user, -1]
        assert explanation.bias == pytest.approx(biases)
    # Without seen items, or what folds them in, there are none.
    told = any(explanation.contributions for explanation in answer.explanations)
    assert told == (user_id == "user-1" and not changes)


def test_nothing_is_explained_that_is_not_asked_for_or_not_there():
    assert list(retrievable.recommend(explained(5), "user-1", Options()).explanations) == []
    options = Options(explain=True, exclude_item_ids=[f"item-{row}" for row in range(12)])
    answer = retrievable.recommend(explained(5), WeightedItems(["item-0"]), options)
    assert list(answer.explanations) == []
