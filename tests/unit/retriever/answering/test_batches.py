"""Many questions at once: what each gets, what fails alone, and what ends them all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from retriever.answering import batches, pages, queries
from retriever.answering.batches import answer_all
from retriever.answering.conditions import NumberCondition, ValueCondition
from retriever.answering.pages import Page, Position
from retriever.answering.questions import Options, Search, UserFeatures, WeightedItems
from retriever.errors import AbandonedError, InvalidArgumentError, PageExpiredError, UnknownIdError
from tests import retrievable
from tests.retrievable import DictIdMap, FixedIndex

COUNT = 30
FEATURES = ["age:25-34", "country:DE"]
OTHER_VERSION = "20261125T043500Z-3fa9c2"
FORGED = "forged"
PAGE = Page(pages.fingerprint(b"a request"))


def snapshot(**changes):
    """Numbers at random, so that nothing is equal to anything else."""
    random = np.random.default_rng(1)
    items, users = random.normal(size=(2, COUNT, 5)).astype(np.float32)
    seen = [sorted(random.permutation(COUNT)[: 3 + row % 4].tolist()) for row in range(COUNT)]
    fold_in = FoldIn.build(items, users, retrievable.ragged(seen), seed=1)
    assert fold_in is not None
    popularity = np.arange(COUNT, dtype=np.int32)
    return retrievable.snapshot(
        items,
        users,
        seen=seen,
        attributes=Attributes.build(
            [
                TextColumn("genres", [["odd" if row % 2 else "even"] for row in range(COUNT)]),
                NumberColumn("year", np.arange(COUNT, dtype=np.float64)),
            ],
            COUNT,
        ),
        fold_in=fold_in.array,
        popularity=popularity,
        popular_items=popularity[::-1].copy(),
        user_features=DictIdMap(FEATURES),
        user_feature_vectors=random.normal(size=(2, 5)).astype(np.float32),
        **changes,
    )


SNAPSHOT = snapshot()


def token(version):
    """Of a page that begins after five results."""
    key = queries._key(SNAPSHOT)
    return pages.encode(Position(0, 5), PAGE, version=version, key=key)


item_ids = st.sampled_from([f"item-{row}" for row in range(COUNT)] + ["nothing"])
users = st.sampled_from([f"user-{row}" for row in range(5)] + ["nobody"])
sessions = st.lists(item_ids, min_size=1, max_size=5).map(WeightedItems)
features = st.lists(st.sampled_from([*FEATURES, "x:y"]), min_size=1, max_size=3).map(UserFeatures)
conditions = st.sampled_from(
    [
        ValueCondition("genres", "any", ["odd"]),
        ValueCondition("genres", "none", ["even", "x"]),
        NumberCondition("year", 5, 20),
        # An error each.
        ValueCondition("color", "any", ["red"]),
        NumberCondition("genres", 1, 2),
    ]
)
tokens = [token(SNAPSHOT.version), token(OTHER_VERSION), FORGED]
choices = st.fixed_dictionaries(
    {"limit": st.integers(1, 40)},
    optional={
        "exclude_seen": st.booleans(),
        "exclude_item_ids": st.lists(item_ids, max_size=4),
        "conditions": st.lists(conditions, min_size=1, max_size=2),
        "search": st.just(Search(exact=True)),
        "unknown_ids": st.sampled_from(["error", "ignore", "popular"]),
        "explain": st.booleans(),
    },
)
ways = st.one_of(
    st.just({}),
    st.builds(lambda text: {"page": replace(PAGE, token=text)}, st.sampled_from(["", *tokens])),
    st.builds(lambda share: {"diversity": share}, st.sampled_from([0.25, 1.0])),
)
options = st.builds(lambda chosen, way: Options(**chosen, **way), choices, ways)


def plan_of(own, ranker):
    plan = queries.plan_recommend if ranker == "recommend" else queries.plan_similar_items
    return lambda asked: plan(own, *asked)


def alone(ask, *asked):
    """What a question gets alone, or the error that it fails with."""
    try:
        answer = ask(SNAPSHOT, *asked)
    except Exception as error:
        return told(error)
    # A product of matrices rounds otherwise than one of a matrix and a vector.
    return structs.replace(told(answer), scores=pytest.approx(answer.scores.tolist(), abs=1e-5))


def told(answer):
    """As something that can be compared."""
    if isinstance(answer, Exception):
        return type(answer), str(answer)
    return structs.replace(answer, rows=answer.rows.tolist(), scores=answer.scores.tolist())


@given(st.lists(st.tuples(st.one_of(users, sessions, features), options), min_size=1, max_size=8))
def test_each_user_gets_what_it_would_get_alone(asked):
    answers = answer_all(SNAPSHOT, asked, plan_of(SNAPSHOT, "recommend"))
    expected = [alone(queries.recommend, *one) for one in asked]
    assert [told(answer) for answer in answers] == expected


@given(st.lists(st.tuples(st.one_of(item_ids, sessions), options), min_size=1, max_size=8))
def test_each_item_gets_what_it_would_get_alone(asked):
    answers = answer_all(SNAPSHOT, asked, plan_of(SNAPSHOT, "similar"))
    expected = [alone(queries.similar_items, *one) for one in asked]
    assert [told(answer) for answer in answers] == expected


MIXED = [
    ("user-0", Options()),
    ("user-1", Options(limit=40)),
    (WeightedItems(["item-1", "item-2", "nothing"]), Options(limit=3)),
    (UserFeatures(FEATURES), Options()),
    ("user-2", Options(conditions=[ValueCondition("genres", "any", ["odd"])])),
    ("user-3", Options(page=PAGE)),
    ("user-3", Options(page=replace(PAGE, token=token(SNAPSHOT.version)))),
    ("user-4", Options(diversity=0.5)),
    ("nobody", Options(unknown_ids="popular")),
    ("user-5", Options(explain=True, exclude_seen=False)),
]
BAD = [
    (("nobody", Options()), UnknownIdError),
    ((WeightedItems(["nothing"]), Options()), UnknownIdError),
    ((UserFeatures(["x:y"]), Options()), UnknownIdError),
    (("user-0", Options(conditions=[ValueCondition("color", "any", ["red"])])), InvalidArgumentError),
    (("user-0", Options(page=replace(PAGE, token=FORGED))), InvalidArgumentError),
    (("user-0", Options(page=replace(PAGE, token=token(OTHER_VERSION)))), PageExpiredError),
]


def test_a_mixture_is_answered_in_its_order():
    answers = answer_all(SNAPSHOT, MIXED, plan_of(SNAPSHOT, "recommend"))
    assert [told(answer) for answer in answers] == [alone(queries.recommend, *one) for one in MIXED]
    assert [answer.source for answer in answers] == [
        *["personalized"] * 2,
        "folded_in",
        "features",
        *["personalized"] * 4,
        "popular",
        "personalized",
    ]
    # The pages follow one another.
    first, second = answers[5:7]
    assert second.rows.tolist()[:5] == first.rows.tolist()[5:]


@pytest.mark.parametrize(("bad", "error"), BAD, ids=[str(place) for place in range(len(BAD))])
def test_a_bad_entry_fails_alone(bad, error):
    for place in (0, 4, len(MIXED)):
        asked = [*MIXED[:place], bad, *MIXED[place:]]
        answers = answer_all(SNAPSHOT, asked, plan_of(SNAPSHOT, "recommend"))
        assert isinstance(answers.pop(place), error)
        assert [told(answer) for answer in answers] == [alone(queries.recommend, *one) for one in MIXED]


def test_a_batch_of_nothing_but_errors_has_one_for_each():
    asked, errors = zip(*BAD, strict=True)
    answers = answer_all(SNAPSHOT, asked, plan_of(SNAPSHOT, "recommend"))
    assert [type(answer) for answer in answers] == list(errors)


def test_what_fails_in_the_search_or_after_it_fails_alone(monkeypatch):
    """Such as a version that lacks what only a search finds out."""
    asked = [MIXED[0], ("nobody", Options(unknown_ids="popular")), MIXED[4], MIXED[9]]
    poor = replace(SNAPSHOT, publication=snapshot().publication)
    poor.publication.popular_items = None
    monkeypatch.setattr(queries, "explain", lambda *_: 1 / 0)
    found = answer_all(poor, asked, plan_of(poor, "recommend"))
    names = ["RankedRows", "NotPublishedError", "RankedRows", "ZeroDivisionError"]
    assert [type(answer).__name__ for answer in found] == names


def test_who_left_ends_the_whole_batch_at_any_stage():
    """Not as an error of one entry: nobody reads the others either."""
    looks = []
    answer_all(SNAPSHOT, MIXED, plan_of(SNAPSHOT, "recommend"), checkpoint=lambda: looks.append(1))
    # Once planned, before the product, and before each search of its own: filter, pages and popular.
    assert len(looks) == 2 + 4
    for last in range(len(looks)):
        left = iter([None] * last)

        def checkpoint(left=left):
            if next(left, ...) is ...:
                raise AbandonedError("the caller cancelled")

        with pytest.raises(AbandonedError):
            answer_all(SNAPSHOT, MIXED, plan_of(SNAPSHOT, "recommend"), checkpoint=checkpoint)


def test_an_index_is_asked_for_what_is_too_much_for_a_product(monkeypatch):
    index = FixedIndex(range(COUNT))
    own = snapshot(recommend=index)
    asked = [("user-0", Options(limit=1)), ("user-1", Options(limit=2))]
    assert all(answer.exact for answer in answer_all(own, asked, plan_of(own, "recommend")))
    assert index.asked == []
    monkeypatch.setattr(batches, "_PRODUCT_ITEMS", COUNT - 1)
    asked.append(("user-2", Options(limit=1, search=Search(exact=True))))
    answers = answer_all(own, asked, plan_of(own, "recommend"))
    assert [answer.exact for answer in answers] == [False, False, True]
    assert len(index.asked) == 2


@pytest.mark.parametrize("size", [1, COUNT, 3 * COUNT + 1, 1000 * COUNT])
def test_products_in_parts_give_each_its_own(monkeypatch, size):
    monkeypatch.setattr(batches, "_PRODUCT_SIZE", size)
    asked = [(f"user-{row}", Options(limit=1 + row)) for row in range(10)]
    answers = answer_all(SNAPSHOT, asked, plan_of(SNAPSHOT, "recommend"))
    assert [told(answer) for answer in answers] == [alone(queries.recommend, *one) for one in asked]
