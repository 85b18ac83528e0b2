"""Maximal marginal relevance against the definition, in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever.answering.diversity import diversify, pool_size
from retriever.answering.questions import MAX_LIMIT, Options
from tests import retrievable

# float32 rounds cosines; candidates whose values are closer than this are equally good.
TOLERANCE = 1e-5


@st.composite
def candidates(draw):
    """Scores, highest first, and embeddings, of which some are equal or opposite."""
    count = draw(st.integers(1, 12))
    scores = draw(st.lists(st.floats(-50, 50, width=32), min_size=count, max_size=count))
    # Lengths differ, and don't matter.
    vectors = st.tuples(*[st.integers(-3, 3)] * 3).filter(any)
    embeddings = draw(st.lists(vectors, min_size=count, max_size=count))
    return np.float32(sorted(scores, reverse=True)), np.float32(embeddings)


@given(candidates(), st.integers(1, 14), st.floats(0, 1, width=32) | st.sampled_from([0.0, 1.0]))
def test_each_result_is_the_best_one_after_those_before(drawn, count, diversity):
    scores, embeddings = drawn
    order = diversify(scores, embeddings, count, diversity).tolist()
    exact = scores.tolist()
    low, high = min(exact), max(exact)
    relevance = [(score - low) / (high - low) if high > low else 1.0 for score in exact]
    units = [[part / math.hypot(*own) for part in own] for own in embeddings.tolist()]

    def value(place, chosen):
        near = max(
            math.fsum(map(math.prod, zip(units[place], units[one], strict=True))) for one in chosen
        )
        return (1 - diversity) * relevance[place] - diversity * near

    assert order[0] == 0
    assert len(order) == len({*order}) == min(count, len(exact))
    for place in range(1, len(order)):
        chosen = order[:place]
        left = [value(other, chosen) for other in range(len(exact)) if other not in chosen]
        assert value(order[place], chosen) >= max(left) - TOLERANCE
    # Fewer are the first of more, and without diversity the order is that of the scores.
    assert order == diversify(scores, embeddings, len(scores), diversity).tolist()[:count]
    plain = diversify(scores, embeddings, count, 0.0).tolist()
    assert scores[plain].tolist() == scores[:count].tolist()


@pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
def test_of_equal_candidates_the_first_is_chosen(diversity):
    same = np.ones((5, 2), dtype=np.float32)
    assert diversify(np.ones(5, dtype=np.float32), same, 3, diversity).tolist() == [0, 1, 2]
    assert diversify(np.float32([]), same[:0], 10, diversity).tolist() == []


def test_there_are_more_candidates_than_results():
    assert [pool_size(limit) for limit in (1, 10, 20, MAX_LIMIT)] == [50, 50, 80, 4 * MAX_LIMIT]


# ---- as part of an answer


@pytest.fixture(scope="module")
def catalogue():
    """Item r has the score 99 - r, and only item 40 points elsewhere."""
    angles = [0.001 * row if row != 40 else 1.5 for row in range(100)]
    vectors = [(math.cos(angle), math.sin(angle)) for angle in angles]
    items = [[*vector, 99 - row - vector[0]] for row, vector in enumerate(vectors)]
    return retrievable.snapshot(items, [[1, 0, 0]])


def test_what_differs_comes_though_its_score_alone_would_not_have_brought_it(catalogue):
    answer = retrievable.recommend(catalogue, "user-0", Options(limit=3, diversity=0.5))
    assert answer.rows.tolist()[:2] == [0, 40]
    # Scores stay what they are, out of order as the results are.
    assert answer.scores.tolist() == pytest.approx([99 - row for row in answer.rows.tolist()], abs=1e-4)
    assert answer.short is None
    # Only those of the pool are chosen among: of 50 candidates the last differs most.
    without = Options(limit=3, diversity=1.0, exclude_item_ids=["item-40"])
    assert retrievable.recommend(catalogue, "user-0", without).rows.tolist()[:2] == [0, 50]


def test_a_diverse_answer_is_short_only_when_no_more_may_be_returned(catalogue):
    answer = retrievable.recommend(catalogue, "user-0", Options(limit=1000, diversity=0.3))
    assert (sorted(answer.rows.tolist()), answer.short) == ([*range(100)], "catalogue")
    half = [f"item-{row}" for row in range(50)]
    options = Options(limit=60, diversity=0.3, exclude_item_ids=half)
    excluded = retrievable.similar_items(catalogue, "item-0", options)
    assert (len(excluded.rows), excluded.short) == (50, "exclusions")
