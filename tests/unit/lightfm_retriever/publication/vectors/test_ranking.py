from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lightfm_retriever.publication.vectors.ranking import best, row_norms, unit_rows

# From what float32 can hardly tell from zero to what it can hardly hold.
magnitudes = st.floats(2.0**-100, 2.0**120, width=32)
ARRANGEMENTS = [
    np.ascontiguousarray,
    np.asfortranarray,
    lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    lambda array: array[::-1].copy()[::-1],
]


@st.composite
def matrices(draw):
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 6)))
    signs = draw(npst.arrays(np.float32, shape, elements=st.sampled_from([-1.0, 1.0])))
    return signs * draw(npst.arrays(np.float32, shape, elements=magnitudes))


@given(matrices(), st.sampled_from(ARRANGEMENTS))
def test_norms_and_unit_rows_are_those_of_exact_arithmetic(vectors, arranged):
    exact = vectors.astype(np.longdouble)
    expected = np.sqrt((exact**2).sum(axis=1))
    norms, units = row_norms(arranged(vectors)), unit_rows(arranged(vectors))
    assert (norms.dtype, norms.shape) == (np.float32, (len(vectors),))
    np.testing.assert_allclose(norms, expected.astype(np.float64), rtol=2e-7)
    assert (units.dtype, units.shape) == (np.float32, vectors.shape)
    exact /= expected[:, None]
    np.testing.assert_allclose(units, exact.astype(np.float64), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("size", [2.0**100, 2.0**-100])
def test_the_squares_may_be_more_or_less_than_float32_holds(size):
    vectors = np.full((1, 4), size, dtype=np.float32)
    assert row_norms(vectors).tolist() == [2 * size]
    assert unit_rows(vectors).tolist() == [[0.5] * 4]
    assert row_norms(vectors[:0]).shape == (0,)


@given(
    npst.arrays(np.float32, st.integers(0, 30), elements=st.integers(-3, 3).map(float)),
    st.integers(0, 40),
    st.randoms(use_true_random=False),
)
def test_the_best_are_the_highest_and_equal_ones_in_the_order_of_what_breaks_ties(
    scores, count, random
):
    ties = random.sample(range(100), len(scores))
    for given_ties, by in ((None, range(len(scores))), (np.array(ties, dtype=np.int32), ties)):
        order = sorted(
            range(len(scores)), key=lambda position, by=by: (-scores[position], by[position])
        )
        found = best(scores, count, given_ties)
        assert (found.dtype, found.tolist()) == (np.int64, order[:count])
