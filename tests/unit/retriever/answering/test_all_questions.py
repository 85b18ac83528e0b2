"""Any question against the reference: all subjects, exclusions, filters, limits, pages and batches."""

import itertools
import math
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from lightfm_retriever.publication.manifest import Depth
from lightfm_retriever.publication.search_effort import TUNED_FOR, Depths, IndexCosts
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from retriever.answering import batches, filters, pages, popular, queries
from retriever.answering.pages import Page
from retriever.answering.questions import (
    MAX_LIMIT,
    NumberCondition,
    Options,
    Search,
    UserFeatures,
    ValueCondition,
    WeightedItems,
)
from retriever.errors import InvalidArgumentError, UnknownIdError
from tests import retrievable
from tests.retrievable import FixedIndex
from tests.unit.retriever.answering import reference
from tests.unit.retriever.answering.reference import TOLERANCE, Catalogue, NoMean, Unknown

# Small whole numbers are added and multiplied without rounding, so ties are ties; and there are many.
WHOLE = [vector for vector in itertools.product(range(-2, 3), repeat=4) if any(vector)]
# Embeddings whose length is a power of 2, so that their cosines aren't rounded either.
TIDY = [vector for vector in WHOLE if math.hypot(*vector) in (1, 2, 4)]
FEATURES = ["age:25-34", "country:DE", "國:日本", "x"]
# Neither normalised, nor by alphabet, nor in UTF-16 is their order that of their bytes.
ITEM_IDS = ["9", "10", "a", "ab", "Z", "cafe\u0301", "café", "ß", "я", "א", "東京", "\uffff", "🎬", "0"]
UNKNOWN_ITEMS = ["nothing", "Я"]
GENRES = ["drama", "comedy", "喜劇", "1:x"]


@st.composite
def catalogues(draw, *, min_items=1):
    embeddings = st.sampled_from(draw(st.sampled_from([WHOLE, TIDY])))
    vectors = st.tuples(embeddings, st.integers(-2, 2)).map(lambda both: (*both[0], both[1]))
    item_ids = draw(st.permutations(ITEM_IDS))[: draw(st.integers(min_items, len(ITEM_IDS)))]
    count = len(item_ids)

    def of_each(values):
        return draw(st.lists(values, min_size=count, max_size=count))

    users = draw(st.lists(vectors, min_size=1, max_size=2))
    texts = st.lists(st.sampled_from(GENRES), max_size=3)
    numbers = st.sampled_from([math.nan, -1.5, 0, 1, 1, 2])
    return Catalogue(
        item_ids=item_ids,
        items=of_each(vectors),
        users=users,
        seen=[draw(st.frozensets(st.sampled_from(range(count)))) for _ in users],
        # Divided by 1, 2, 3 or 4 they are still whole.
        features={
            name: tuple(12 * number for number in draw(vectors))
            for name in draw(st.lists(st.sampled_from(FEATURES[:3]), min_size=1, unique=True))
        },
        popularity=of_each(st.integers(0, 3)),
        texts={"genres": of_each(texts), "studio": of_each(texts)},
        numbers={"year": of_each(numbers), "rating": of_each(numbers)},
        fold_in=FoldIn(np.array(draw(fold_ins), dtype=np.float32)),
    )


# ū, x̄, h, P, R: with and without halves, and with rounding.
UNIT = np.eye(4)
fold_ins = st.tuples(st.sampled_from(WHOLE), st.sampled_from([0, 0, 1, 0.3])).map(
    lambda both: [both[0], both[0][::-1], [both[1]] * 4, *UNIT, *(2 * UNIT[::-1])]
)


def item_ids_of(catalogue):
    return st.sampled_from([*catalogue.item_ids, *UNKNOWN_ITEMS])


@st.composite
def several_items(draw, catalogue, **field):
    item_ids = draw(st.lists(item_ids_of(catalogue), min_size=1, max_size=5))
    weights = st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.0, 4.0])
    chosen = draw(st.lists(weights, min_size=len(item_ids), max_size=len(item_ids)))
    return WeightedItems(item_ids, chosen if any(chosen) else (), **field)


def user_subjects(catalogue):
    users = st.sampled_from([*(f"user-{row}" for row in range(len(catalogue.users))), "nobody"])
    features = st.lists(st.sampled_from(FEATURES), min_size=1, max_size=5).map(UserFeatures)
    return st.one_of(users, several_items(catalogue), features)


def item_subjects(catalogue):
    return st.one_of(item_ids_of(catalogue), several_items(catalogue, field="items"))


numbers = st.sampled_from([-math.inf, -1.5, 0.0, 1.0, 1.5, math.inf])
conditions = st.one_of(
    st.builds(
        ValueCondition,
        st.sampled_from(["genres", "studio"]),
        st.sampled_from(["any", "all", "none"]),
        st.lists(st.sampled_from([*GENRES, "of no item"]), min_size=1, max_size=3),
    ),
    st.builds(NumberCondition, st.sampled_from(["year", "rating"]), numbers, numbers),
)


def options_for(catalogue, **changes):
    defaults = {
        "limit": st.integers(1, 20) | st.just(MAX_LIMIT),
        "exclude_seen": st.booleans(),
        "exclude_item_ids": st.just(()) | st.lists(item_ids_of(catalogue), max_size=8),
        "conditions": st.just(()) | st.lists(conditions, max_size=3),
        "search": st.sampled_from([Search(), Search(), Search(exact=True)]),
        "unknown_ids": st.sampled_from([None, "error", "ignore", "popular"]),
    }
    return st.builds(Options, **{**defaults, **changes})


class Whimsical:
    """Proposes any rows, in any order, often few; always the same for a query and a count."""

    def __init__(self, items, candidates, seed):
        self.candidates = candidates
        self.proposed = None
        self._items = items
        self._seed = seed

    def search(self, query, count, effort=1.0):  # noqa: ARG002
        random = np.random.default_rng([self._seed, count, *query.tobytes()])
        most = min(count, self._items)
        rows = random.permutation(self._items)[: random.integers(most // 2, most + 1)]
        self.proposed = rows.astype(np.int64)
        return self.proposed.copy()


def indexes(catalogue):
    """None for exact search."""
    whimsical = st.builds(
        Whimsical, st.just(len(catalogue.items)), st.integers(0, 14), st.integers(0, 2**20)
    )
    return st.none() | whimsical


@contextmanager
def as_if(*, dear):
    """As if the catalogue were large: searches that only pay then, and lists in several steps."""
    if not dear:
        yield
        return
    with (
        mock.patch.object(filters, "_MASK_SHARE", 0.3),
        mock.patch.object(popular, "_STEP", 4),
        mock.patch.multiple(batches, _PRODUCT_ITEMS=8, _PRODUCT_SIZE=30),
    ):
        yield


ASKS = {
    "recommend": (retrievable.recommend, queries.plan_recommend, reference.recommend, user_subjects),
    "similar": (
        *(retrievable.similar_items, queries.plan_similar_items),
        *(reference.similar_items, item_subjects),
    ),
}
asks = pytest.mark.parametrize("ranker", ASKS)


def outcome(ask, *args):
    """The answer, or the error in the reference's words."""
    try:
        return ask(*args)
    except Exception as error:
        return as_expected(error)


def as_expected(error):
    match error:
        case UnknownIdError():
            return Unknown(error.kind, error.external_id)
        case InvalidArgumentError(field="session.item_ids" | "items.item_ids"):
            return NoMean()
    raise error


def assert_right(answer, expected, catalogue, options, *, start=0, most=None, among=None):
    """The results are the best of those that may be returned, or of some rows among them.

    All pages have at most `most`; of two that are equal but for rounding either may be the last.
    """
    rows, scores = answer.rows.tolist(), answer.scores.tolist()
    looked = expected.looked
    best = [row for row in expected.rows if among is None or row in among]
    wanted = best[:most][start : start + options.limit]
    assert len(rows) == len({*rows}) == len(wanted)
    assert rows == sorted(rows, key=lambda row: catalogue.place(row, scores[rows.index(row)]))
    if looked.rounded:
        assert {*rows} <= {*best}
        assert scores == pytest.approx([looked.scores[row] for row in rows], abs=TOLERANCE)
        assert scores == pytest.approx([looked.scores[row] for row in wanted], abs=TOLERANCE)
    else:
        assert rows == wanted
        assert scores == [looked.scores[row] for row in rows]
    assert answer.source == looked.source
    assert list(answer.unknown) == list(expected.unknown)
    assert answer.short == expected.short_reason(start, options.limit, options)


def assert_says_how(answer, expected, catalogue, options, index):
    """What an answer of one question says of how it was found."""
    eligible = {*expected.rows}
    asked = index is not None and index.proposed is not None
    if not answer.exact:
        assert asked
        assert not options.search.exact
        assert answer.candidates == len(index.proposed)
        assert answer.filtered == len({*index.proposed.tolist()} - eligible)
    elif answer.source == "popular":
        assert not asked
        assert 0 <= answer.filtered <= answer.candidates <= len(catalogue.items)
        assert answer.candidates - answer.filtered >= len(answer.rows)
    else:
        assert answer.candidates == expected.examined
        assert answer.filtered == expected.removed
        if options.search.exact:
            assert not asked
        elif asked or (index is not None and not options.conditions):
            # It was asked first, and found too little.
            more = max(0, index.candidates - TUNED_FOR) if options.conditions else 0
            assert len({*index.proposed.tolist()} & eligible) < options.limit + more


@asks
@given(st.data(), st.booleans())
def test_any_question_is_answered_as_the_reference_does(ranker, data, dear):
    ask, _, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues())
    subject, options = data.draw(subjects(catalogue)), data.draw(options_for(catalogue))
    index = data.draw(indexes(catalogue))
    expected = refer(catalogue, subject, options)
    with as_if(dear=dear):
        answer = outcome(ask, catalogue.snapshot(**{ranker: index}), subject, options)
    if isinstance(expected, Unknown | NoMean):
        assert answer == expected
        return
    among = None if answer.exact else {*index.proposed.tolist()}
    assert_right(answer, expected, catalogue, options, among=among)
    assert len(answer.rows) == min(options.limit, len(expected.rows))
    assert_says_how(answer, expected, catalogue, options, index)
    assert answer.next_page == ""


@asks
@given(st.data(), st.booleans())
def test_each_question_of_a_batch_is_answered_as_if_it_were_alone(ranker, data, dear):
    _, plan, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues())
    asked = data.draw(
        st.lists(st.tuples(subjects(catalogue), options_for(catalogue)), min_size=1, max_size=6)
    )
    index = data.draw(indexes(catalogue))
    snapshot = catalogue.snapshot(**{ranker: index})
    with as_if(dear=dear):
        answers = batches.answer_all(snapshot, asked, lambda one: plan(snapshot, *one))
    for (subject, options), answer in zip(asked, answers, strict=True):
        expected = refer(catalogue, subject, options)
        if isinstance(expected, Unknown | NoMean):
            assert as_expected(answer) == expected
        elif answer.exact:
            assert_right(answer, expected, catalogue, options)
        else:
            # What it was among is forgotten: the index has been asked for others since.
            assert {*answer.rows.tolist()} <= {*expected.rows}
            assert len(answer.rows) == min(options.limit, len(expected.rows))


def walk(ask, snapshot, subject, options, limits):
    """All pages, with limits that come round again."""
    token = ""
    for limit in itertools.cycle(limits):
        page = replace(options, limit=limit, page=Page(b"the same", token))
        answer = ask(snapshot, subject, page)
        yield page, answer
        token = answer.next_page
        if not token:
            break


@asks
@given(st.data(), st.booleans(), st.integers(3, 20))
def test_pages_hold_the_whole_ranking_once_and_in_order_until_they_end(ranker, data, dear, most):
    ask, _, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues(min_items=3))
    subject, options = data.draw(subjects(catalogue)), data.draw(options_for(catalogue))
    limits = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    index = data.draw(indexes(catalogue))
    expected = refer(catalogue, subject, options)
    assume(not isinstance(expected, Unknown | NoMean))
    with as_if(dear=dear), mock.patch.object(pages, "MAX_RESULTS", most):
        walked = [*walk(ask, catalogue.snapshot(**{ranker: index}), subject, options, limits)]
    started_exactly = walked[0][1].exact
    start = 0
    for page, answer in walked:
        if started_exactly:
            # Why there are no more is another matter at the end.
            at_the_end = start + len(answer.rows) == most
            reason = expected.short_reason(start, page.limit, page)
            told = structs.replace(answer, short=reason) if at_the_end else answer
            assert_right(told, expected, catalogue, page, start=start, most=most)
        else:
            rows, scores = answer.rows.tolist(), answer.scores.tolist()
            places = [catalogue.place(*both) for both in zip(rows, scores, strict=True)]
            assert places == sorted(places)
            exact = [expected.looked.scores[row] for row in rows]
            assert scores == (pytest.approx(exact, abs=TOLERANCE) if expected.looked.rounded else exact)
            assert not answer.exact
        start += len(answer.rows)
        last = answer is walked[-1][1]
        # All but the last are full.
        assert last or len(answer.rows) == page.limit
        assert (answer.short is None) == (len(answer.rows) == page.limit)
        if answer.short is not None:
            reason = expected.short_reason(start - len(answer.rows), page.limit, page)
            assert answer.short == ("page_limit" if start == most else reason)
    rows = [row for _, answer in walked for row in answer.rows.tolist()]
    assert len(rows) == len({*rows}) == min(most, len(expected.rows))
    assert {*rows} <= {*expected.rows}


@asks
@given(st.data(), st.booleans())
def test_a_filter_shortens_no_list_though_the_index_proposes_only_what_does_not_match(
    ranker, data, dear
):
    ask, _, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues())
    subject = data.draw(subjects(catalogue))
    options = data.draw(options_for(catalogue, conditions=st.lists(conditions, min_size=1, max_size=2)))
    expected = refer(catalogue, subject, options)
    assume(not isinstance(expected, Unknown | NoMean))
    others = [row for row in range(len(catalogue.items)) if row not in expected.rows]
    index = FixedIndex(others, candidates=data.draw(st.integers(0, 14)))
    with as_if(dear=dear):
        answer = ask(catalogue.snapshot(**{ranker: index}), subject, options)
    assert answer.exact
    assert_right(answer, expected, catalogue, options)
    assert len(answer.rows) == min(options.limit, len(expected.rows))


ITEMS = 20_000


def large_catalogue(proposed, **options):
    """Item r has the score r; each other, each 100th and each 5000th has a value to filter by."""
    columns = [
        TextColumn(name, [["yes"] if row % every == 0 else [] for row in range(ITEMS)])
        for name, every in [("half", 2), ("hundredth", 100), ("few", 5000)]
    ]
    columns.append(NumberColumn("number", np.arange(ITEMS, dtype=np.float64)))
    index = FixedIndex(proposed)
    items = np.stack([np.arange(ITEMS), np.ones(ITEMS), np.zeros(ITEMS)], axis=1)
    attributes = Attributes.build(columns, ITEMS)
    snapshot = retrievable.snapshot(
        items, [[1, 0, 0]], recommend=index, attributes=attributes, costs=IndexCosts(), **options
    )
    return snapshot, index


def best_first(every):
    return [row for row in reversed(range(ITEMS)) if row % every == 0]


def filtered_by(name):
    return Options(conditions=[ValueCondition(name, "any", ["yes"])])


@pytest.mark.parametrize(("name", "every"), [("half", 2), ("hundredth", 100), ("few", 5000)])
def test_of_many_items_that_an_index_does_not_propose_the_best_come(name, every):
    matching = best_first(every)
    snapshot, index = large_catalogue([row for row in range(ITEMS) if row % every])
    answer = retrievable.recommend(snapshot, "user-0", filtered_by(name))
    assert answer.rows.tolist() == matching[:10]
    assert answer.exact
    assert answer.short == (None if len(matching) >= 10 else "filter")
    # It gave up before long, and where few match it wasn't asked at all.
    assert len(index.asked) < 4
    assert (name == "half") == bool(index.asked)


@pytest.mark.parametrize(
    ("proposed", "asked", "best"),
    [
        # As many more as don't match, and some.
        (range(ITEMS), [30], 28),
        # And more until enough match: the best of all 80 that do, not the first ones.
        ([*range(1, 80, 2), *range(0, ITEMS, 2)], [30, 120], 158),
    ],
    ids=["enough", "too few"],
)
def test_an_index_is_asked_until_enough_of_what_it_proposes_matches(proposed, asked, best):
    snapshot, index = large_catalogue(proposed)
    answer = retrievable.recommend(snapshot, "user-0", filtered_by("half"))
    assert (answer.exact, index.asked) == (False, asked)
    assert answer.rows.tolist() == list(range(best, best - 20, -2))
    assert answer.candidates == asked[-1]
    assert answer.filtered == sum(row % 2 for row in proposed[: asked[-1]])


def test_an_index_of_which_nobody_knows_whether_it_finds_so_many_is_not_asked_under_a_filter():
    for most in (29, 30):
        depths = Depths([Depth(results=most, effort=1.0, recall=0.95)])
        snapshot, index = large_catalogue(best_first(1), depths=depths)
        answer = retrievable.recommend(snapshot, "user-0", filtered_by("half"))
        assert answer.rows.tolist() == best_first(2)[:10]
        assert (answer.exact, index.asked) == ((True, []) if most < 30 else (False, [30]))
        # Without a filter it is: its answer is the best there is in little time.
        answer = retrievable.recommend(snapshot, "user-0", Options(limit=100))
        assert (answer.exact, index.asked[-1]) == (False, 100)


def test_more_results_are_searched_for_with_the_effort_that_they_take():
    depths = Depths(
        [Depth(results=30, effort=2.0, recall=0.95), Depth(results=100, effort=4.0, recall=1)]
    )
    snapshot, index = large_catalogue(best_first(1), depths=depths)
    half = Options(limit=100, search=Search(effort=0.5))
    for options in (Options(limit=10), Options(limit=30), half, filtered_by("half")):
        retrievable.recommend(snapshot, "user-0", options)
    assert index.efforts == [1.0, 2.0, 2.0, 2.0]


def test_an_effort_that_is_given_is_made_though_all_could_be_looked_at_in_less_time():
    snapshot, index = large_catalogue(best_first(1), depths=Depths())
    options = Options(limit=1000, search=Search(effort=3.0))
    assert not retrievable.recommend(snapshot, "user-0", options).exact
    assert (index.asked, index.efforts) == ([1000], [3.0])
    # Where what it finds isn't enough, all are.
    options = replace(filtered_by("few"), search=Search(effort=3.0))
    answer = retrievable.recommend(snapshot, "user-0", options)
    assert answer.rows.tolist() == best_first(5000)
    assert answer.exact
    assert len(index.asked) == 2
