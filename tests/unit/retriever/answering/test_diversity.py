"""Maximal marginal relevance against the definition, in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever.answering import queries
from retriever.answering.diversity import diversify, pool_size
from retriever.answering.questions import MAX_LIMIT, Options, WeightedItems
from tests import retrievable

# float32 rounds cosines; candidates whose values are closer than this are equally good.
TOLERANCE = 1e-5


@st.composite
def candidates(draw, *, min_size=1):
    """Scores, highest first, and embeddings, of which some are equal or opposite."""
    count = draw(st.integers(min_size, 12))
    scores = draw(st.lists(st.floats(-50, 50, width=32), min_size=count, max_size=count))
    # Lengths differ, and don't matter.
    vectors = st.tuples(*[st.integers(-3, 3)] * 3).filter(any)
    embeddings = draw(st.lists(vectors, min_size=count, max_size=count))
    return (
        np.array(sorted(scores, reverse=True), dtype=np.float32),
        np.array(embeddings, dtype=np.float32),
    )


shares = st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.5, 1.0])
counts = st.integers(1, 14)


def cosine(one, other):
    return math.fsum(map(math.prod, zip(one, other, strict=True))) / (
        math.hypot(*one) * math.hypot(*other)
    )


def relevances(scores):
    low, high = min(scores), max(scores)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]


def values(scores, embeddings, chosen, diversity):
    """How good each candidate that isn't chosen is as the next one."""
    relevance = relevances(scores)
    return {
        place: (1 - diversity) * relevance[place]
        - diversity * max(cosine(embeddings[place], embeddings[other]) for other in chosen)
        for place in range(len(scores))
        if place not in chosen
    }


@given(candidates(), counts, shares)
def test_each_result_is_the_best_one_after_those_before(given_, count, diversity):
    scores, embeddings = given_
    order = diversify(scores, embeddings, count, diversity).tolist()
    assert order[0] == 0
    assert len(order) == len({*order}) == min(count, len(scores))
    for place in range(1, len(order)):
        left = values(scores.tolist(), embeddings.tolist(), order[:place], diversity)
        assert left[order[place]] >= max(left.values()) - TOLERANCE


@given(candidates(), counts)
def test_without_diversity_the_order_is_that_of_the_scores(given_, count):
    scores, embeddings = given_
    order = diversify(scores, embeddings, count, 0.0).tolist()
    assert [scores[place] for place in order] == scores[:count].tolist()


@given(candidates(), counts, shares, st.floats(0.5, 8), st.floats(-20, 20))
def test_neither_the_unit_of_scores_nor_the_length_of_embeddings_matters(
    given_, count, diversity, scale, shift
):
    """Scores of LightFM have no unit, and cosines have no length."""
    scores, embeddings = given_
    # Otherwise rounding may level them.
    scores = np.round(scores).astype(np.float64)
    scaled = scores * scale + shift
    for changed in (
        diversify(scaled, embeddings, count, diversity),
        diversify(scores, embeddings * np.float32(scale), count, diversity),
    ):
        chosen = [0]
        for place in changed[1:].tolist():
            left = values(scores.tolist(), embeddings.tolist(), chosen, diversity)
            assert left[place] >= max(left.values()) - TOLERANCE
            chosen.append(place)


@given(candidates(), counts, shares)
def test_fewer_results_are_the_first_of_more(given_, count, diversity):
    scores, embeddings = given_
    every = diversify(scores, embeddings, len(scores), diversity)
    assert diversify(scores, embeddings, count, diversity).tolist() == every[:count].tolist()


def test_of_equal_candidates_the_first_is_chosen():
    same = np.ones((5, 2), dtype=np.float32)
    for diversity in (0.0, 0.5, 1.0):
        assert diversify(np.ones(5, dtype=np.float32), same, 3, diversity).tolist() == [0, 1, 2]


def test_nothing_to_choose_among_is_nothing():
    nothing = np.empty((0, 3), dtype=np.float32)
    assert diversify(np.empty(0, dtype=np.float32), nothing, 10, 0.5).tolist() == []


@pytest.mark.parametrize(
    ("diversity", "expected"), [(0.0, [0, 1, 2]), (0.4, [0, 3, 1]), (1.0, [0, 4, 3])]
)
def test_more_diversity_ranks_by_score_less(diversity, expected):
    embeddings = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1], [-1, 0]], dtype=np.float32)
    scores = np.array([5, 4.9, 4.8, 4, 1], dtype=np.float32)
    assert diversify(scores, embeddings, 3, diversity).tolist() == expected


def test_there_are_more_candidates_than_results():
    assert [pool_size(limit) for limit in (1, 10, 20, MAX_LIMIT)] == [50, 50, 80, 4 * MAX_LIMIT]


# ---- as part of an answer


def catalogue():
    """Item r has the score 99 - r, and only item 40 points elsewhere."""
    angles = [0.001 * row if row != 40 else 1.5 for row in range(100)]
    vectors = [[math.cos(angle), math.sin(angle), 0] for angle in angles]
    items = [[*vector[:2], 99 - row - vector[0]] for row, vector in enumerate(vectors)]
    return retrievable.snapshot(items, [[1, 0, 0]])


def test_what_differs_comes_though_its_score_alone_would_not_have_brought_it():
    answer = queries.recommend(catalogue(), "user-0", Options(limit=3, diversity=0.5))
    assert answer.rows.tolist()[:2] == [0, 40]
    # Scores stay what they are, out of order as the results are.
    assert answer.scores.tolist() == pytest.approx([99 - row for row in answer.rows.tolist()], abs=1e-4)
    assert answer.short is None
    plain = queries.recommend(catalogue(), "user-0", Options(limit=3))
    assert plain.rows.tolist() == [0, 1, 2]


def test_only_the_candidates_of_the_pool_are_chosen_among():
    without = Options(limit=3, diversity=1.0, exclude_item_ids=["item-40"])
    answer = queries.recommend(catalogue(), "user-0", without)
    # 50 candidates, of which the last differs most.
    assert answer.rows.tolist()[:2] == [0, 50]


def test_a_diverse_answer_is_short_only_when_no_more_may_be_returned():
    everything = Options(limit=1000, diversity=0.3)
    answer = queries.recommend(catalogue(), "user-0", everything)
    assert sorted(answer.rows.tolist()) == list(range(100))
    assert answer.short == "catalogue"
    similar = queries.similar_items(catalogue(), WeightedItems(["item-1", "item-2"]), everything)
    assert sorted(similar.rows.tolist()) == [0, *range(3, 100)]
    excluded = queries.similar_items(
        catalogue(),
        "item-0",
        Options(limit=60, diversity=0.3, exclude_item_ids=[f"item-{row}" for row in range(50)]),
    )
    assert (len(excluded.rows), excluded.short) == (50, "exclusions")
