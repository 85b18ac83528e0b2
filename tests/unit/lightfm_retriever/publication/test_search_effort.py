import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import search_effort
from lightfm_retriever.publication.manifest import Depth, WayFacts
from lightfm_retriever.publication.search_effort import (
    TUNED_FOR,
    Depths,
    candidates_for,
    count_under_filter,
    depths_of,
    scaled,
)

INT32 = 2**31 - 1
tuned, candidates = st.integers(1, INT32), st.integers(-1, 1000)
bounds = st.integers(1, INT32) | st.sampled_from([2**40, math.inf])


@given(tuned, candidates, st.floats(0, 1000), st.integers(1, INT32))
def test_what_was_tuned_is_what_is_searched_with_also_for_fewer(effort, number, each, most):
    for count in {candidates_for(TUNED_FOR, number, 0), 1, min(TUNED_FOR, max(1, number))}:
        search = {"count": count, "candidates": number, "per_candidate": each}
        assert scaled(effort, **search, effort=1.0, most=most) == min(effort, most)


@given(tuned, st.integers(0, 1000), st.integers(1, 100), st.floats(0.1, 1e12), bounds)
def test_each_candidate_more_is_paid_for_relative_to_what_was_tuned(effort, more, each, factor, most):
    search = {"count": 30 + more, "candidates": 30, "per_candidate": each, "effort": factor}
    found = scaled(effort, **search, most=most)
    assert type(found) is int
    # It always fits the integers of the indexes.
    assert found == max(1, min(round(factor * (effort + more * each)), most, INT32))
    assert most < INT32 or scaled(effort, **search) == found


@given(st.integers(1, 1000), candidates, st.integers(0, 10**6))
def test_there_are_candidates_enough_for_the_results_and_what_cannot_be_one(limit, number, excluded):
    more = max(0, number - TUNED_FOR)
    assert candidates_for(limit, number, excluded) == limit + more + excluded


def test_an_index_pays_where_it_takes_less_time_than_to_score_all_that_may_be_returned():
    costs = search_effort.IndexCosts(search=80, candidate=1.5)
    # All in order take 30 microseconds a thousand; where few may be returned, each takes 0.07.
    for items, most, paying in (
        (3500, 3500, 16),
        (100_000, 2000, 39),
        (3000, 3000, 6),
        (2000, 2000, 0),
    ):
        found = [width for width in range(1, 100) if costs.pay(width, items=items, most=most)]
        assert found == [*range(1, paying + 1)]


def depths(*measured):
    return Depths([Depth(results=results, effort=effort, recall=0.95) for results, effort in measured])


def test_what_was_measured_is_what_is_made_and_what_lies_between_is_in_proportion():
    measured = depths((30, 1.0), (100, 2.0), (1000, 8.0))
    assert measured.most == 1000
    for results, effort in ((11, 1.0), (30, 1.0), (100, 2.0), (1000, 8.0), (5000, 8.0)):
        assert measured.effort(results) == pytest.approx(effort)
    # Half way from 100 to 1,000 on a scale of logarithms: half way from 2 to 8 on such a scale.
    assert measured.effort(316) == pytest.approx(4.0, rel=1e-2)
    # Ten and fewer take the tuned effort, and any number where nothing was measured.
    assert {depths((30, 2.0), (100, 3.0)).effort(results) for results in (-5, 1, TUNED_FOR)} == {1.0}
    assert Depths().most == TUNED_FOR
    assert {Depths().effort(results) for results in (1, 10, 11, 10**6)} == {1.0}


def test_a_way_of_asking_has_its_own_effort_from_ten_results_on():
    measured = [Depth(results=100, effort=6.0, recall=0.95)]
    ways = {
        "session": WayFacts(recall_at_10=0.95, query_microseconds=9.0, effort=1.5, depths=measured),
        "features": WayFacts(recall_at_10=1.0, query_microseconds=99.0, effort=None, depths=[]),
    }
    found = depths_of(ways)
    assert found.keys() == ways.keys()
    assert found["features"] is None
    assert [found["session"].effort(results) for results in (1, TUNED_FOR, 100, 1000)] == [
        *(1.5, 1.5, 6.0, 6.0)
    ]
    # In proportion between them, on a scale of logarithms.
    assert found["session"].effort(32) == pytest.approx(3.0, rel=2e-2)


@given(st.integers(1, 1000), st.integers(1, 10**7), st.integers(0, 10**7))
def test_under_a_filter_there_are_candidates_for_more_than_the_results(limit, items, most):
    most = min(items, most)
    count = count_under_filter(limit, items=items, most=most)
    assert count * most >= limit * items * (most > 0)
    assert count_under_filter(limit, items=items, most=items) == math.ceil(1.5 * limit)
