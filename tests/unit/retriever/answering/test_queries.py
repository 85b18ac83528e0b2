"""The questions without gRPC, threads or disk: arrays in memory, and an index that answers as told."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightfm_retriever.publication.vectors.ranking import row_norms
from retriever.answering import queries, questions
from retriever.answering.questions import Options, Search, WeightedItems
from retriever.errors import InvalidArgumentError, UnknownIdError
from retriever.index.exact import ExactIndex
from tests import retrievable
from tests.retrievable import FixedIndex

WIDTH = 4
limits = st.one_of(st.integers(1, 12), st.sampled_from([questions.MAX_LIMIT - 1, questions.MAX_LIMIT]))
# Small whole numbers are added and multiplied without rounding, so ties are ties; and there are many.
whole = st.integers(-2, 2).map(np.float32)


def vectors(rows, elements=whole):
    return arrays.arrays(np.float32, st.tuples(rows, st.just(WIDTH)), elements=elements)


@st.composite
def catalogues(draw, *, min_items=1):
    """Item vectors whose embeddings have a direction, one user's vector, and what the user has seen."""
    items = draw(vectors(st.integers(min_items, 15)))
    assume(items[:, :-1].any(axis=1).all())
    user = draw(vectors(st.just(1)))
    seen = draw(st.sets(st.sampled_from(range(len(items)))))
    return items, user, sorted(seen)


@st.composite
def proposals(draw, items):
    """What an index may propose: some of the rows, in any order."""
    rows = draw(st.permutations(range(len(items))))
    return rows[: draw(st.integers(0, len(rows)))]


def best_first(scores):
    """Rows by falling score, equal scores by item id: item-10 comes before item-2."""
    return sorted(scores, key=lambda row: (-scores[row], f"item-{row}"))


class CountedExact(ExactIndex):
    """Notes how often it scores everything."""

    searches = 0

    def scores(self, query, rows=None):
        self.searches += rows is None
        return super().scores(query, rows)


def counted(snapshot, *, only=False):
    """The snapshot with exact search that is counted, and what counts it: for both questions in turn.

    With `only` there is no other index, as where a publication's own is exact.
    """
    similar = CountedExact(snapshot.item_embeddings, cosine=True)
    recommend = CountedExact(snapshot.publication.item_vectors)
    changed = {
        name: replace(getattr(snapshot, name), exact=exact, **({"index": exact} if only else {}))
        for name, exact in (("similar", similar), ("recommend", recommend))
    }
    return replace(snapshot, **changed), lambda: similar.searches + recommend.searches


def lightfm(items, user):
    """u·i + b_u + b_i."""
    return dict(enumerate((items[:, :-1] @ user[:-1] + items[:, -1] + user[-1]).tolist()))


@given(catalogues(), limits, st.booleans())
def test_recommendations_are_the_highest_scores_of_all_by_id_where_equal(
    catalogue, limit, exclude_seen
):
    items, user, seen = catalogue
    snapshot = retrievable.snapshot(items, user, seen=[seen])
    answer = queries.recommend(snapshot, "user-0", Options(limit=limit, exclude_seen=exclude_seen))
    scores = lightfm(items, user[0])
    if exclude_seen:
        for row in seen:
            del scores[row]
    expected = best_first(scores)[:limit]
    assert answer.rows.tolist() == expected
    assert answer.scores.tolist() == [scores[row] for row in expected]


@given(st.data(), catalogues(), limits, st.booleans(), st.integers(-1, 20))
def test_whatever_an_index_proposes_recommendations_keep_their_promises(
    data, catalogue, limit, exclude_seen, candidates
):
    items, user, seen = catalogue
    index = FixedIndex(data.draw(proposals(items)), candidates=candidates)
    snapshot = retrievable.snapshot(items, user, seen=[seen], recommend=index)
    answer = queries.recommend(snapshot, "user-0", Options(limit=limit, exclude_seen=exclude_seen))
    scores = lightfm(items, user[0])
    excluded = {*seen} if exclude_seen else set()
    rows = answer.rows.tolist()
    assert not excluded & {*rows}
    assert len(rows) == len({*rows}) == min(limit, len(items) - len(excluded))
    assert answer.scores.tolist() == [scores[row] for row in rows]
    assert rows == best_first({row: scores[row] for row in rows})


@given(st.data(), catalogues())
def test_the_best_of_what_an_index_proposes_are_taken_when_they_are_enough(data, catalogue):
    items, user, seen = catalogue
    proposed = data.draw(proposals(items))
    unseen = [row for row in proposed if row not in seen]
    assume(unseen)
    limit = data.draw(st.integers(1, len(unseen)))
    # It is to be asked for so many that all it has come.
    index = FixedIndex(proposed, candidates=len(items) + questions.DEFAULT_LIMIT)
    snapshot = retrievable.snapshot(items, user, seen=[seen], recommend=index)
    answer = queries.recommend(snapshot, "user-0", Options(limit=limit))
    scores = lightfm(items, user[0])
    assert answer.rows.tolist() == best_first({row: scores[row] for row in unseen})[:limit]


@given(catalogues(min_items=2), limits)
def test_similar_items_have_the_highest_cosines_and_never_include_the_item(catalogue, limit):
    items, user, _ = catalogue
    snapshot = retrievable.snapshot(items, user)
    embeddings = np.float64(items[:, :-1])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    for row in range(len(items)):
        answer = queries.similar_items(snapshot, f"item-{row}", Options(limit=limit))
        rows, scores = answer.rows.tolist(), answer.scores.tolist()
        assert row not in rows
        assert len(rows) == len({*rows}) == min(limit, len(items) - 1)
        assert all(-1 <= score <= 1 for score in scores)
        cosines = embeddings @ embeddings[row]
        np.testing.assert_allclose(scores, cosines[rows], atol=1e-6)
        assert rows == best_first(dict(zip(rows, scores, strict=True)))
        left_out = [other for other in range(len(items)) if other not in (*rows, row)]
        assert all(cosines[other] <= min(cosines[rows]) + 1e-6 for other in left_out)


@given(st.data(), catalogues(min_items=2), limits, st.integers(-1, 20))
def test_whatever_an_index_proposes_similar_items_keep_their_promises(
    data, catalogue, limit, candidates
):
    items, user, _ = catalogue
    index = FixedIndex(data.draw(proposals(items)), candidates=candidates)
    snapshot = retrievable.snapshot(items, user, similar=index)
    row = data.draw(st.sampled_from(range(len(items))))
    answer = queries.similar_items(snapshot, f"item-{row}", Options(limit=limit))
    rows, scores = answer.rows.tolist(), answer.scores.tolist()
    assert row not in rows
    assert len(rows) == len({*rows}) == min(limit, len(items) - 1)
    assert rows == best_first(dict(zip(rows, scores, strict=True)))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("id_ranks", "recommended", "similar"),
    [
        (True, [1, 10, 11, 12, 13], [0, 1, 10, 11, 12]),
        # An old publication doesn't say what the order of its ids is.
        (False, [1, 2, 3, 5, 6], [0, 1, 3, 4, 5]),
    ],
)
def test_items_with_the_same_vector_come_in_the_order_of_their_ids(
    id_ranks, recommended, similar, exact
):
    # It proposes all, or it might have left out any of them.
    index = FixedIndex(range(30)[::-1], candidates=40)
    items, users = np.ones((30, WIDTH)), np.ones((1, WIDTH))
    snapshot = retrievable.snapshot(
        items, users, seen=[[0, 4]], id_ranks=id_ranks, similar=index, recommend=index
    )
    five = Options(limit=5, search=Search(exact=exact))
    assert queries.recommend(snapshot, "user-0", five).rows.tolist() == recommended
    assert queries.similar_items(snapshot, "item-2", five).rows.tolist() == similar


@pytest.mark.parametrize(("exact", "candidates", "filtered"), [(False, 12, 2), (True, 30, 3)])
def test_an_answer_says_how_it_was_found(exact, candidates, filtered):
    items = np.random.default_rng(1).normal(size=(30, WIDTH))
    # It isn't asked for more than those wanted and those that may be excluded; item 20 is far away.
    index = FixedIndex(range(30))
    snapshot = retrievable.snapshot(items, items[:1], seen=[[0, 4, 20]], similar=index, recommend=index)
    options = Options(limit=9, search=Search(exact=exact))
    answer = queries.recommend(snapshot, "user-0", options)
    assert (answer.source, answer.exact) == ("personalized", exact)
    assert (answer.candidates, answer.filtered) == (candidates, filtered)
    similar = queries.similar_items(snapshot, "item-0", options)
    assert (similar.source, similar.exact) == ("similar", exact)
    assert (similar.candidates, similar.filtered) == (30 if exact else 10, 1)
    for one in (answer, similar):
        assert (len(one.rows), one.short) == (9, None)
        # Nothing that wasn't asked for.
        assert (one.unknown, one.next_page, one.explanations) == ((), "", ())


@pytest.mark.parametrize("scale", [1e-18, 1e-12, 1e-6, 1, 1e6, 1e12, 1e18])
def test_cosines_do_not_depend_on_how_long_the_vectors_are(scale):
    """A strong L2 penalty makes embeddings tiny, and their squares are not what float32 can hold."""
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    expected = queries.similar_items(retrievable.snapshot(items, items), "item-3", Options(limit=19))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = retrievable.snapshot(items * scale, items)
        found = queries.similar_items(scaled, "item-3", Options(limit=19))
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


@given(vectors(st.just(6), elements=st.floats(-100, 100, width=32)))
@example(np.full((6, WIDTH), np.float32(0.1)))
@example(np.full((6, WIDTH), np.float32(1 / 3)))
def test_cosines_stay_in_their_range_whatever_the_rounding(items):
    assume((np.linalg.norm(items[:, :-1], axis=1) > 1e-10).all())
    answer = queries.similar_items(retrievable.snapshot(items, items), "item-0")
    assert len(answer.rows) == 5
    assert (np.abs(answer.scores) <= 1).all()


def test_scores_hold_both_biases():
    snapshot = retrievable.snapshot([[1, 2, 3, 0.5]], [[1, 10, 100, 0.25]])
    answer = queries.recommend(snapshot, "user-0")
    assert answer.scores.tolist() == [1 + 20 + 300 + 0.5 + 0.25]
    assert answer.scores.dtype == np.float32
    assert answer.rows.dtype == np.int64


def test_without_a_bias_the_order_would_be_another():
    items = [[1, 0, 0, 0], [0.5, 0, 0, 1]]
    snapshot = retrievable.snapshot(items, [[1, 0, 0, 0]])
    assert queries.recommend(snapshot, "user-0").rows.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("limit", "seen", "candidates", "asked"),
    [
        # Of an index whose own order is right, as many as are wanted.
        (10, 0, 10, 10),
        (1, 0, 10, 1),
        (200, 0, 10, 200),
        (10, 95, 10, 105),
        # Of another one twenty more, whatever the limit.
        (10, 0, 30, 30),
        (1, 0, 30, 21),
        (200, 0, 30, 220),
        (10, 95, 30, 125),
        (10, 95, 0, 105),
        (1000, 300, -1, 1300),
        (1000, 300, 100, 1390),
    ],
)
def test_an_index_is_asked_for_the_candidates_it_was_tuned_with_beside_what_is_excluded(
    limit, seen, candidates, asked
):
    index = FixedIndex(range(2000), candidates=candidates)
    items = np.random.default_rng(1).normal(size=(2000, WIDTH))
    snapshot = retrievable.snapshot(
        items, items[:1], seen=[range(seen)], recommend=index, similar=index
    )
    assert len(queries.recommend(snapshot, "user-0", Options(limit=limit)).rows) == limit
    assert (
        len(queries.recommend(snapshot, "user-0", Options(limit=limit, exclude_seen=False)).rows)
        == limit
    )
    assert index.asked == [asked, asked - seen]
    index.asked.clear()
    assert len(queries.similar_items(snapshot, "item-0", Options(limit=limit)).rows) == limit
    # One more, since the item itself is its own nearest.
    assert index.asked == [asked - seen + 1]
    assert {*index.efforts} == {1.0}


BOTH = pytest.mark.parametrize(
    ("ask", "external_id"), [(queries.recommend, "user-0"), (queries.similar_items, "item-0")]
)


@BOTH
@pytest.mark.parametrize("effort", [0.1, np.float32(0.1).item(), 0.5, 1.0, 99.5, 100])
def test_an_effort_in_range_is_passed_on_to_the_index(ask, external_id, effort):
    index = FixedIndex(range(20))
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    snapshot = retrievable.snapshot(items, items, similar=index, recommend=index)
    ask(snapshot, external_id, Options(search=Search(effort=effort)))
    assert index.efforts == [effort]
    ask(snapshot, external_id)
    assert index.efforts == [effort, 1.0]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("effort", "shown"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (-1.0, "-1"),
        (0.09999, "0.09999"),
        (100.001, "100.001"),
        (1e30, "1e+30"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
    ],
)
def test_an_effort_out_of_range_is_named_though_it_is_of_no_effect(effort, shown, exact):
    with pytest.raises(InvalidArgumentError) as caught:
        Search(effort=effort, exact=exact)
    assert caught.value.field == "search_effort"
    assert str(caught.value) == f"search_effort: is {shown}, but should be in 0.1..100"


@BOTH
def test_an_exact_search_leaves_the_index_alone_and_finds_the_truth(ask, external_id):
    items = np.random.default_rng(1).normal(size=(200, WIDTH))
    # Enough of them, and none of the best.
    truth = ask(retrievable.snapshot(items, items, seen=[[3, 5]] * 200), external_id, Options(limit=50))
    useless = FixedIndex([row for row in range(200) if row not in truth.rows])
    snapshot = retrievable.snapshot(
        items, items, seen=[[3, 5]] * 200, similar=useless, recommend=useless
    )
    misled = ask(snapshot, external_id, Options(limit=50))
    assert not {*misled.rows.tolist()} & {*truth.rows.tolist()}
    useless.asked.clear()
    found = ask(snapshot, external_id, Options(limit=50, search=Search(exact=True)))
    assert useless.asked == []
    assert found.rows.tolist() == truth.rows.tolist()
    assert found.scores.tolist() == truth.scores.tolist()


@BOTH
def test_an_exact_search_is_one_search_and_looks_once_whether_somebody_waits(ask, external_id):
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    index = FixedIndex(range(20))
    of_index = retrievable.snapshot(items, items, similar=index, recommend=index)
    for options, (snapshot, searches) in (
        (Options(search=Search(exact=True)), counted(of_index)),
        (Options(search=Search(exact=True)), counted(retrievable.snapshot(items, items), only=True)),
        (Options(), counted(retrievable.snapshot(items, items), only=True)),
    ):
        stages = []
        answer = ask(snapshot, external_id, options, checkpoint=lambda to=stages: to.append(1))
        assert len(stages) == searches() == 1
        assert answer.exact
    assert index.asked == []


@BOTH
@pytest.mark.parametrize("found", [0, 1, 9, 10])
def test_where_an_index_finds_too_few_all_are_searched_exactly(ask, external_id, found):
    """Less effort may find few; it never answers with fewer than there are."""
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    index = FixedIndex(range(2, 2 + found))
    snapshot, searches = counted(retrievable.snapshot(items, items, similar=index, recommend=index))
    answer = ask(snapshot, external_id, Options(search=Search(effort=0.1)))
    assert len(answer.rows) == 10
    assert answer.short is None
    assert index.efforts == [0.1]
    # The answer says which of both it is.
    assert answer.exact == (searches() == 1) == (found < 10)
    assert answer.candidates == (20 if answer.exact else found)


def test_cosines_are_the_same_with_norms_and_without():
    items = np.random.default_rng(1).normal(size=(50, WIDTH)).astype(np.float32)
    plain = retrievable.snapshot(items, items)
    with_norms = retrievable.snapshot(items, items, item_norms=row_norms(plain.item_embeddings))
    for row in range(50):
        first, second = (
            queries.similar_items(each, f"item-{row}", Options(search=Search(exact=True)))
            for each in (plain, with_norms)
        )
        assert first.rows.tolist() == second.rows.tolist()
        assert first.scores.tolist() == second.scores.tolist()


def test_an_item_that_the_index_does_not_find_near_itself_is_no_loss():
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    index = FixedIndex(range(5, 20))
    answer = queries.similar_items(
        retrievable.snapshot(items, items, similar=index), "item-0", Options(limit=10)
    )
    assert len(answer.rows) == 10


def test_one_item_has_no_neighbours():
    snapshot = retrievable.snapshot([[1, 2, 3, 4]], [[1, 2, 3, 4]])
    answer = queries.similar_items(snapshot, "item-0")
    assert (answer.rows.tolist(), answer.short) == ([], "catalogue")


def test_a_user_who_has_seen_everything_gets_nothing_unless_seen_items_are_asked_for():
    items = np.random.default_rng(1).normal(size=(5, WIDTH))
    snapshot = retrievable.snapshot(items, items[:1], seen=[range(5)])
    nothing = queries.recommend(snapshot, "user-0", Options(limit=5))
    assert (nothing.rows.tolist(), nothing.short) == ([], "exclusions")
    assert (nothing.candidates, nothing.filtered) == (5, 5)
    everything = queries.recommend(snapshot, "user-0", Options(limit=5, exclude_seen=False))
    assert (len(everything.rows), everything.short) == (5, None)
    assert (everything.candidates, everything.filtered) == (5, 0)


def test_the_default_limit_is_ten():
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    snapshot = retrievable.snapshot(items, items)
    assert len(queries.recommend(snapshot, "user-0").rows) == 10
    assert len(queries.similar_items(snapshot, "item-0").rows) == 10


@pytest.mark.parametrize("limit", [0, -1, 1001, 2**31 - 1, -(2**31)])
def test_a_limit_out_of_range_is_named(limit):
    with pytest.raises(InvalidArgumentError, match=rf"limit: is {limit}, .* 1\.\.1000") as caught:
        Options(limit=limit)
    assert caught.value.field == "limit"


@pytest.mark.parametrize("ask", [queries.recommend, queries.similar_items])
@pytest.mark.parametrize("limit", [1, 1000])
def test_the_ends_of_the_range_are_in_it(ask, limit):
    items = np.random.default_rng(1).normal(size=(1200, WIDTH))
    snapshot = retrievable.snapshot(items, items)
    external_id = "user-7" if ask is queries.recommend else "item-7"
    assert len(ask(snapshot, external_id, Options(limit=limit)).rows) == limit


@pytest.mark.parametrize(
    ("ask", "kind", "other"),
    [(queries.recommend, "user", "item-0"), (queries.similar_items, "item", "user-0")],
)
def test_an_unknown_id_is_named_with_the_version(ask, kind, other):
    snapshot = retrievable.snapshot([[1, 2, 3, 4]], [[1, 2, 3, 4]], version="20261124T120000Z-abcdef")
    for external_id in (other, "", f"{kind}-00", f"{kind}-0\0"):
        with pytest.raises(UnknownIdError, match="isn't in version 20261124T120000Z-abcdef") as caught:
            ask(snapshot, external_id)
        assert (caught.value.kind, caught.value.external_id) == (kind, external_id)
        assert caught.value.version == snapshot.version


def test_a_long_id_is_shortened_in_the_message_only():
    snapshot = retrievable.snapshot([[1, 2, 3, 4]], [[1, 2, 3, 4]])
    with pytest.raises(UnknownIdError) as caught:
        queries.similar_items(snapshot, "x" * 512)
    assert len(str(caught.value)) < 120
    assert caught.value.external_id == "x" * 512


class LeftError(Exception):
    """The caller stopped waiting."""


@pytest.mark.parametrize("gives_up", [False, True], ids=["first search", "exact search"])
@pytest.mark.parametrize(
    ("ask", "external_id"), [(queries.recommend, "user-0"), (queries.similar_items, "item-0")]
)
def test_nothing_more_is_searched_for_a_caller_that_left(ask, external_id, gives_up):
    """The checkpoint comes before each search, also the one after an index that found too little."""
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    index = FixedIndex(range(2))
    snapshot, searches = counted(retrievable.snapshot(items, items, similar=index, recommend=index))
    stages = []

    def checkpoint():
        stages.append((len(index.asked), searches()))
        if len(stages) == (2 if gives_up else 1):
            raise LeftError

    with pytest.raises(LeftError):
        ask(snapshot, external_id, checkpoint=checkpoint)
    assert stages == [(0, 0), (1, 0)][: len(stages)]
    assert (len(index.asked), searches()) == ((1, 0) if gives_up else (0, 0))


@pytest.mark.parametrize(
    ("ask", "external_id"), [(queries.recommend, "user-0"), (queries.similar_items, "item-0")]
)
def test_a_checkpoint_changes_no_answer(ask, external_id):
    items = np.random.default_rng(1).normal(size=(20, WIDTH))
    snapshot = retrievable.snapshot(items, items, similar=FixedIndex([]), recommend=FixedIndex([]))
    stages = []
    answer = ask(snapshot, external_id, checkpoint=lambda: stages.append(1))
    assert len(stages) == 2
    assert answer.rows.tolist() == ask(snapshot, external_id).rows.tolist()


def test_asking_changes_nothing():
    items = np.random.default_rng(1).normal(size=(20, WIDTH)).astype(np.float32)
    snapshot = retrievable.snapshot(items, items, seen=[[row] for row in range(20)])
    for array in (snapshot.publication.item_vectors, snapshot.publication.user_vectors):
        array.setflags(write=False)
    for _ in range(2):
        queries.recommend(snapshot, "user-3")
        queries.similar_items(snapshot, "item-3")
    np.testing.assert_array_equal(snapshot.publication.item_vectors, items)
    np.testing.assert_array_equal(snapshot.publication.user_vectors, items)


def test_exclusions_that_are_not_published_are_named_after_the_subjects_own_the_first_ten():
    items = np.random.default_rng(1).normal(size=(30, WIDTH))
    snapshot = retrievable.snapshot(items, items[:1])
    options = Options(exclude_item_ids=[" item-1", "item-2", "x", "y", "x"])
    answer = queries.recommend(snapshot, "user-0", options)
    assert answer.unknown == [" item-1", "x", "y"]
    assert 2 not in answer.rows
    several = WeightedItems(["item-0", "y", "z"], field="items")
    assert queries.similar_items(snapshot, several, options).unknown == ["y", "z", " item-1", "x"]
    many = Options(exclude_item_ids=[f"none-{number}" for number in range(1000)])
    assert queries.recommend(snapshot, "user-0", many).unknown == [f"none-{n}" for n in range(10)]
