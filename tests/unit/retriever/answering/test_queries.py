"""The questions without gRPC, threads or disk: arrays in memory, and an index that answers as told.

That answers are right is in test_all_questions.py; here is what is asked of the index, and the edges.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightfm_retriever.publication.manifest import Depth
from lightfm_retriever.publication.search_effort import Depths
from retriever.answering.questions import (
    Options,
    Search,
    UserFeatures,
    WeightedItems,
    always_wanted,
)
from retriever.answering.vector_model import Scorer
from tests import retrievable
from tests.retrievable import DictIdMap, FixedIndex

WIDTH = 4
BOTH = pytest.mark.parametrize(
    ("ask", "external_id"), [(retrievable.recommend, "user-0"), (retrievable.similar_items, "item-0")]
)


def random_items(count):
    return np.random.default_rng(1).normal(size=(count, WIDTH)).astype(np.float32)


def snapshot_of(count, index=None, **changes):
    """Items at random, which are the users' vectors too, and one index for both questions."""
    items = random_items(count)
    return retrievable.snapshot(items, items, similar=index, recommend=index, **changes)


@pytest.fixture
def searches(monkeypatch):
    """A query for each time that everything is scored."""
    noted, scores = [], Scorer.scores

    def noting(scorer, query, rows=None):
        if rows is None:
            noted.append(query)
        return scores(scorer, query, rows)

    monkeypatch.setattr(Scorer, "scores", noting)
    return noted


@pytest.mark.parametrize("search", [Search(), Search(exact=True)])
def test_an_old_publication_that_knows_no_order_of_ids_has_equals_in_the_order_of_rows(search):
    # It proposes all, or it might have left out any of them.
    index = FixedIndex(range(30)[::-1], candidates=40)
    items, seen = np.ones((30, WIDTH)), [[0, 4]]
    snapshot = retrievable.snapshot(
        items, items[:1], seen=seen, id_ranks=False, similar=index, recommend=index
    )
    five = Options(limit=5, search=search)
    assert retrievable.recommend(snapshot, "user-0", five).rows.tolist() == [1, 2, 3, 5, 6]
    assert retrievable.similar_items(snapshot, "item-2", five).rows.tolist() == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("scale", [1e-18, 1e-6, 1e6, 1e18])
def test_cosines_do_not_depend_on_how_long_the_vectors_are(scale):
    """A strong L2 penalty makes embeddings tiny, and their squares are not what float32 can hold."""
    items = random_items(20)
    expected = retrievable.similar_items(
        retrievable.snapshot(items, items), "item-3", Options(limit=19)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = retrievable.snapshot(np.float64(items) * scale, items)
        found = retrievable.similar_items(scaled, "item-3", Options(limit=19))
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


@given(arrays.arrays(np.float32, (6, WIDTH), elements=st.floats(-100, 100, width=32)))
@example(np.full((6, WIDTH), np.float32(0.9)))
def test_cosines_stay_in_their_range_whatever_the_rounding(items):
    assume((np.linalg.norm(items[:, :-1], axis=1) > 1e-10).all())
    answer = retrievable.similar_items(retrievable.snapshot(items, items), "item-0")
    assert len(answer.rows) == 5
    assert (np.abs(answer.scores) <= 1).all()


@pytest.mark.parametrize(
    ("limit", "seen", "candidates", "asked"),
    [
        # Of an index whose own order is right, as many as are wanted.
        *((1, 0, 10, 1), (200, 0, 10, 200), (10, 95, 10, 105), (10, 95, 0, 105)),
        # Of another one twenty more, whatever the limit.
        *((1, 0, 30, 21), (200, 0, 30, 220), (10, 95, 30, 125)),
    ],
)
def test_an_index_is_asked_for_the_candidates_it_was_tuned_with_beside_what_is_excluded(
    limit, seen, candidates, asked
):
    index = FixedIndex(range(2000), candidates=candidates)
    depths = Depths([Depth(results=200, effort=2.0, recall=1.0)])
    snapshot = snapshot_of(2000, index, seen=[range(seen)] + [[]] * 1999, depths=depths)
    for ask, external_id, exclude_seen, expected in (
        (retrievable.recommend, "user-0", True, asked),
        (retrievable.recommend, "user-0", False, asked - seen),
        # One more, since the item itself is its own nearest.
        (retrievable.similar_items, "item-0", True, asked - seen + 1),
    ):
        answer = ask(snapshot, external_id, Options(limit=limit, exclude_seen=exclude_seen))
        assert len(answer.rows) == limit
        assert index.asked.pop() == expected
    # What is excluded takes no more effort.
    assert {*index.efforts} == {2.0 if limit == 200 else 1.0}


@BOTH
def test_an_exact_search_is_one_search_and_looks_once_whether_somebody_waits(
    ask, external_id, searches
):
    index = FixedIndex(range(20))
    for options, snapshot in (
        (Options(search=Search(exact=True)), snapshot_of(20, index)),
        (Options(), snapshot_of(20)),
    ):
        stages = []

        def checkpoint(stage, stages=stages):
            stages.append(stage)
            return always_wanted()

        answer = ask(snapshot, external_id, options, checkpoint=checkpoint)
        assert (stages, len(searches)) == (["search"], 1)
        assert answer.exact
        searches.clear()
    assert index.asked == []


class LeftError(Exception):
    """The caller stopped waiting."""


@BOTH
@pytest.mark.parametrize("last", [1, 2, 3], ids=["first search", "exact search", "answer"])
def test_nothing_more_is_searched_for_a_caller_that_left(ask, external_id, last, searches):
    """The checkpoint comes before each search, also the one after an index that found too little."""
    index = FixedIndex(range(2))
    snapshot, stages = snapshot_of(20, index), []

    def checkpoint(*_):
        stages.append((len(index.asked), len(searches)))
        if len(stages) == last:
            raise LeftError
        return always_wanted()

    if last == 3:
        answer = ask(snapshot, external_id, checkpoint=checkpoint)
        assert answer.rows.tolist() == ask(snapshot, external_id).rows.tolist()
    else:
        with pytest.raises(LeftError):
            ask(snapshot, external_id, checkpoint=checkpoint)
        assert (len(index.asked), len(searches)) == stages[-1]
    assert stages == [(0, 0), (1, 0)][:last]


def test_of_exclusions_that_are_not_published_the_first_ten_are_named_after_the_subjects_own():
    options = Options(exclude_item_ids=[*(f"none-{number}" for number in range(1000)), "y"])
    subject = WeightedItems(["item-0", "y", "z"], field="items")
    answer = retrievable.similar_items(snapshot_of(30), subject, options)
    assert answer.unknown == ["y", "z", *(f"none-{number}" for number in range(10))]


WAYS = {"with_seen": 2.0, "session": 3.0, "session_with_seen": 4.0, "features": 5.0, "items": 6.0}
ONE, TWO = WeightedItems(["item-1"]), WeightedItems(["item-1", "item-2"])
SEEN_TOO = Options(exclude_seen=False)
OF_FEATURES = UserFeatures(["f"])


def asked_in_all_ways(ways, index, **changes):
    """A snapshot that can be asked in each way, with the same index for both questions."""
    own = {"fold_in": np.eye(9, 3, dtype=np.float32)}
    own |= {"user_features": DictIdMap(["f"]), "user_feature_vectors": random_items(1)}
    made = snapshot_of(2000, index, seen=[[9]] + [[]] * 1999, **own, **changes)
    model = made.model
    similar, for_users = (replace(of, ways=ways) for of in (model.similar, model.recommend))
    return replace(made, model=replace(model, similar=similar, recommend=for_users))


@pytest.mark.parametrize(
    ("ask", "subject", "options", "way"),
    [
        (retrievable.recommend, "user-0", Options(), None),
        (retrievable.recommend, "user-0", SEEN_TOO, "with_seen"),
        (retrievable.recommend, ONE, Options(), "session"),
        (retrievable.recommend, TWO, SEEN_TOO, "session_with_seen"),
        (retrievable.recommend, OF_FEATURES, Options(), "features"),
        (retrievable.recommend, OF_FEATURES, SEEN_TOO, "features"),
        (retrievable.similar_items, "item-0", Options(), None),
        (retrievable.similar_items, TWO, Options(), "items"),
    ],
)
def test_each_way_of_asking_has_the_effort_that_it_needs_or_is_answered_exactly(
    ask, subject, options, way
):
    index = FixedIndex(range(2000), candidates=10)
    snapshot = asked_in_all_ways({name: Depths((), own) for name, own in WAYS.items()}, index)
    assert not ask(snapshot, subject, options).exact
    assert index.efforts == [WAYS.get(way, 1.0)]
    # A request's effort is relative to that.
    ask(snapshot, subject, replace(options, search=Search(effort=2.0)))
    assert index.efforts.pop() == 2 * WAYS.get(way, 1.0)
    # A version that doesn't know the way is asked with the tuned effort.
    index.efforts.clear()
    ask(asked_in_all_ways({}, index), subject, options)
    assert index.efforts == [1.0]
    # Where the index is no faster, all items are scored, unless the request sets an effort.
    snapshot = asked_in_all_ways(dict.fromkeys(WAYS), index)
    assert ask(snapshot, subject, options).exact == (way is not None)
    forced = replace(options, search=Search(effort=1.0))
    assert not ask(snapshot, subject, forced).exact


def test_more_results_than_the_index_finds_faster_are_found_exactly():
    index, ways = FixedIndex(range(2000), candidates=10), {"session": Depths((), 2.0)}
    for measured, exact in (([], True), ([(30, 1.5)], True), ([(30, 1.5), (100, 2.0)], False)):
        depths = Depths([Depth(results=many, effort=own, recall=1.0) for many, own in measured])
        snapshot = asked_in_all_ways(ways, index, depths=depths)
        assert retrievable.recommend(snapshot, "user-0", Options(limit=50)).exact == exact
        assert not retrievable.recommend(snapshot, "user-0", Options(limit=10)).exact
        # An older version was measured less.
        snapshot = asked_in_all_ways({}, index, depths=depths)
        assert not retrievable.recommend(snapshot, "user-0", Options(limit=50)).exact
