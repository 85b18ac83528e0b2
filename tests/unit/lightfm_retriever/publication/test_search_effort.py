from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.manifest import Depth
from lightfm_retriever.publication.search_effort import TUNED_FOR, Depths, candidates_for, scaled

INT32 = 2**31 - 1
tuned = st.integers(1, 10**6)
candidates = st.integers(0, 1000)
per_candidate = st.floats(0, 1000)
OPTIONS = {
    "count": st.integers(1, 10**6),
    "candidates": candidates,
    "per_candidate": per_candidate,
    "effort": st.floats(0.1, 100),
    "most": st.integers(1, 10**9),
}
searches = st.fixed_dictionaries(OPTIONS)


@given(tuned, candidates, per_candidate, OPTIONS["most"])
def test_what_was_tuned_is_what_is_searched_with_also_for_fewer(effort, number, each, most):
    """The search that was measured asks for this many, so that its recall is the one served."""
    counts = {candidates_for(TUNED_FOR, number, 0), 1, min(TUNED_FOR, max(1, number))}
    for count in counts:
        asked = scaled(
            effort, count=count, candidates=number, per_candidate=each, effort=1.0, most=most
        )
        assert asked == min(effort, most)


@given(tuned, searches)
def test_it_is_at_least_one_and_at_most_what_makes_a_difference(effort, search):
    found = scaled(effort, **search)
    assert type(found) is int
    assert 1 <= found <= search["most"]
    assert scaled(1, count=1, candidates=0, per_candidate=0, effort=0.1) == 1


@pytest.mark.parametrize("options", [{}, {"most": 2**40}, {"most": float("inf")}])
def test_it_always_fits_the_integers_of_the_indexes(options):
    for effort in (1.0, 100.0):
        search = {"count": 10**9, "candidates": 0, "per_candidate": 1000, "effort": effort}
        assert scaled(INT32, **search, **options) == INT32


@pytest.mark.parametrize("name", ["count", "per_candidate", "effort", "most"])
@given(data=st.data())
def test_more_is_never_searched_for_less(name, data):
    search = data.draw(searches)
    more = {**search, name: data.draw(st.just(search[name]) | OPTIONS[name])}
    lower, higher = sorted([search, more], key=lambda asked: asked[name])
    effort = data.draw(tuned)
    assert scaled(effort, **lower) <= scaled(effort, **higher)
    assert scaled(effort, **search) <= scaled(effort + 1, **search)


@given(tuned, st.integers(0, 1000), st.integers(1, 100), st.integers(1, 100))
def test_each_candidate_more_is_paid_for_relative_to_what_was_tuned(effort, more, each, factor):
    search = {"candidates": 30, "per_candidate": each}
    found = scaled(effort, count=30 + more, effort=1.0, **search)
    assert found == effort + more * each
    assert scaled(effort, count=30 + more, effort=float(factor), **search) == factor * found


@given(st.integers(1, 1000), candidates, st.integers(0, 10**6))
def test_there_are_candidates_enough_for_the_results_and_what_cannot_be_one(limit, number, excluded):
    found = candidates_for(limit, number, excluded)
    assert found >= limit + excluded
    assert candidates_for(limit + 1, number, excluded) == found + 1
    assert candidates_for(limit, number, excluded + 1) == found + 1
    assert candidates_for(limit, number + 1, excluded) - found == (number >= TUNED_FOR)
    assert candidates_for(TUNED_FOR, number, 0) == max(TUNED_FOR, number)


def test_most_is_the_only_setting_that_may_be_left_out():
    """A caller that forgets one would search by another rule than was measured."""
    parameters = inspect.signature(scaled).parameters.values()
    assert [one.name for one in parameters if one.default is not one.empty] == ["most"]


# ---- more results than ten


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


@given(st.lists(st.floats(1, 8), min_size=1, max_size=4).map(sorted), st.integers(1, 2000))
def test_more_results_never_take_less(efforts, results):
    measured = depths(*zip((30, 100, 300, 1000), efforts, strict=False))
    assert 1.0 <= measured.effort(results) <= measured.effort(results + 1) + 1e-9
    assert measured.effort(results) <= efforts[-1] + 1e-9
