"""Any question to an item-item model against the reference, as test_all_questions.py of vectors."""

from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from lightfm_retriever.publication.vectors import neighbours
from retriever.answering import batches, pages
from retriever.answering.questions import Options, UserFeatures, WeightedItems
from retriever.errors import NotPublishedError
from tests import retrievable
from tests.unit.retriever.answering import test_all_questions as of_vectors
from tests.unit.retriever.answering.reference import NoMean, NotPublished, Unknown
from tests.unit.retriever.answering.test_all_questions import (
    ASKS,
    as_if,
    asks,
    assert_right,
    assert_says_how,
    options_for,
    walk,
)

Refused = Unknown | NoMean | NotPublished


@st.composite
def catalogues(draw, *, min_items=1):
    """Many weights are equal, some are below 0, and some sums are 0."""
    catalogue = draw(of_vectors.catalogues(min_items=min_items))
    rows = st.sampled_from(range(len(catalogue.items)))
    own = st.dictionaries(rows, st.sampled_from([-1.0, -0.5, 0.5, 1.0, 1.0, 2.0]), max_size=6)
    links = [
        {other: weight for other, weight in draw(own).items() if other != row}
        for row in range(len(catalogue.items))
    ]
    profiles = draw(st.none() | st.just([draw(st.frozensets(rows)) for _ in catalogue.users]))
    return replace(catalogue, links=links, profiles=profiles, features={})


def sparse(seldom):
    """As if the catalogue were large, so that few neighbours are summed alone."""
    return mock.patch.object(neighbours, "_SORTED_SHARE", 0 if seldom else 16)


def outcome(ask, *args):
    try:
        return ask(*args)
    except Exception as error:
        return as_expected(error)


def as_expected(error):
    return NotPublished() if isinstance(error, NotPublishedError) else of_vectors.as_expected(error)


@asks
@given(st.data(), st.booleans(), st.booleans())
def test_any_question_is_answered_as_the_reference_does(ranker, data, dear, seldom):
    ask, _, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues())
    subject, options = data.draw(subjects(catalogue)), data.draw(options_for(catalogue))
    expected = refer(catalogue, subject, options)
    with as_if(dear=dear), sparse(seldom):
        answer = outcome(ask, catalogue.snapshot(), subject, options)
    if isinstance(expected, Refused):
        assert answer == expected
        return
    assert answer.exact
    assert_right(answer, expected, catalogue, options)
    assert len(answer.rows) == min(options.limit, len(expected.rows))
    assert_says_how(answer, expected, catalogue, options, None)
    assert answer.next_page == ""


@asks
@given(st.data(), st.booleans(), st.booleans())
def test_each_question_of_a_batch_is_answered_as_if_it_were_alone(ranker, data, dear, seldom):
    _, plan, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues())
    asked = data.draw(
        st.lists(st.tuples(subjects(catalogue), options_for(catalogue)), min_size=1, max_size=6)
    )
    snapshot = catalogue.snapshot()
    with as_if(dear=dear), sparse(seldom):
        answers = batches.answer_all(snapshot, asked, lambda one: plan(snapshot, *one))
    for (subject, options), answer in zip(asked, answers, strict=True):
        expected = refer(catalogue, subject, options)
        if isinstance(expected, Refused):
            assert as_expected(answer) == expected
        else:
            assert_right(answer, expected, catalogue, options)


@asks
@given(st.data(), st.booleans(), st.integers(3, 20))
def test_pages_hold_the_whole_ranking_once_and_in_order_until_they_end(ranker, data, seldom, most):
    ask, _, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues(min_items=3))
    subject, options = data.draw(subjects(catalogue)), data.draw(options_for(catalogue))
    limits = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    expected = refer(catalogue, subject, options)
    assume(not isinstance(expected, Refused))
    with sparse(seldom), mock.patch.object(pages, "MAX_RESULTS", most):
        walked = [*walk(ask, catalogue.snapshot(), subject, options, limits)]
    start = 0
    for page, answer in walked:
        reason = expected.short_reason(start, page.limit, page)
        at_the_end = start + len(answer.rows) == most
        told = structs.replace(answer, short=reason) if at_the_end else answer
        assert_right(told, expected, catalogue, page, start=start, most=most)
        start += len(answer.rows)
    rows = [row for _, answer in walked for row in answer.rows.tolist()]
    assert len(rows) == len({*rows}) == min(most, len(expected.rows))


@asks
@given(st.data())
def test_the_contributions_of_all_items_are_the_score(ranker, data):
    ask, _, refer, subjects = ASKS[ranker]
    catalogue = data.draw(catalogues(min_items=3))
    subject = data.draw(subjects(catalogue))
    options = replace(data.draw(options_for(catalogue)), explain=True)
    expected = refer(catalogue, subject, options)
    assume(not isinstance(expected, Refused) and expected.looked.source != "popular")
    answer = ask(catalogue.snapshot(), subject, options)
    weights = weights_of(catalogue, subject, scaled=ranker == "similar")
    for row, score, told in zip(answer.rows.tolist(), answer.scores, answer.explanations, strict=True):
        each = {
            catalogue.item_ids[item]: weight * catalogue.links[item].get(row, 0)
            for item, weight in weights.items()
        }
        assert (told.bias, told.of_features) == (0, False)
        assert sum(each.values()) == pytest.approx(score, abs=1e-6)
        assert dict(told.contributions) == pytest.approx(
            {name: each[name] for name, _ in told.contributions}, abs=1e-6
        )
        largest = sorted((value for value in each.values() if value > 0), reverse=True)[:3]
        assert [value for _, value in told.contributions] == pytest.approx(largest, abs=1e-6)


def weights_of(catalogue, subject, *, scaled):
    """The weights of the items that the scores are sums over, by row."""
    if isinstance(subject, str) and not scaled:
        user = int(subject.removeprefix("user-"))
        return dict.fromkeys((catalogue.profiles or catalogue.seen)[user], 1.0)
    if isinstance(subject, str):
        return {catalogue.row(subject): 1.0}
    weights = {}
    for item_id, weight in zip(
        subject.item_ids, subject.weights or [1.0] * len(subject.item_ids), strict=True
    ):
        if (row := catalogue.row(item_id)) is not None:
            weights[row] = weights.get(row, 0.0) + weight
    by = sum(weights.values()) if scaled else max(weights.values())
    return {row: weight / by for row, weight in weights.items()}


LINKS = [{1: 1.0, 2: 0.5, 3: -1.0}, {0: 1.0, 2: 0.3}, {}, {2: 0.25}]


def own(**changes):
    return retrievable.item_item_snapshot(LINKS, **{"seen": [[0], [2], [1, 0], []], **changes})


def test_a_session_of_what_a_user_has_seen_has_that_users_answer():
    """To the bit, whatever their order and the scale of their weights."""
    all_rows = Options(exclude_seen=False)
    user = retrievable.recommend(own(seen=[[0, 1]]), "user-0", all_rows)
    for session in (WeightedItems(["item-1", "item-0"]), WeightedItems(["item-0", "item-1"], [7, 7])):
        answer = retrievable.recommend(own(), session, all_rows)
        assert answer.rows.tolist() == user.rows.tolist()
        assert answer.scores.tobytes() == user.scores.tobytes()


def test_a_user_of_whom_nothing_is_known_has_no_answer_or_the_popular_ones():
    for user in ("user-1", "user-3"):
        answer = retrievable.recommend(own(), user)
        assert (answer.rows.tolist(), answer.short) == ([], "no_evidence")
    assert retrievable.recommend(own(), "user-0").rows.tolist() == [1, 2]


def test_what_takes_vectors_is_refused_with_the_name_of_the_model():
    for subject, options, what in (
        (UserFeatures(["age:7"]), Options(), "without features of users: its model, ease, is an item"),
        (
            "user-0",
            Options(diversity=0.5),
            "without vectors, which diversity needs: .*ease, is an item",
        ),
    ):
        with pytest.raises(NotPublishedError, match=what):
            retrievable.recommend(own(), subject, options)
