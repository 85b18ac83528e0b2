from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lightfm_retriever.publication.vectors.ranking import best, row_norms, unit_rows

# From what float32 can hardly tell from zero to what it can hardly hold.
magnitudes = st.floats(2.0**-100, 2.0**120, width=32)


@st.composite
def matrices(draw):
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 6)))
    signs = draw(npst.arrays(np.float32, shape, elements=st.sampled_from([-1.0, 1.0])))
    return signs * draw(npst.arrays(np.float32, shape, elements=magnitudes))


@given(matrices())
def test_norms_are_those_of_exact_arithmetic(vectors):
    norms = row_norms(vectors)
    assert (norms.dtype, norms.shape) == (np.float32, (len(vectors),))
    expected = np.sqrt((vectors.astype(np.longdouble) ** 2).sum(axis=1))
    np.testing.assert_allclose(norms, expected.astype(np.float64), rtol=2e-7)


@pytest.mark.parametrize(("size", "square"), [(2.0**100, np.inf), (2.0**-100, 0.0)])
def test_the_squares_may_be_more_or_less_than_float32_holds(size, square):
    vectors = np.full((1, 4), size, dtype=np.float32)
    with np.errstate(over="ignore", under="ignore"):
        assert (vectors * vectors).sum() == square
    assert row_norms(vectors).tolist() == [2 * size]
    assert unit_rows(vectors).tolist() == [[0.5] * 4]


@given(matrices())
def test_unit_rows_have_the_direction_and_the_norm_one(vectors):
    units = unit_rows(vectors)
    assert (units.dtype, units.shape) == (np.float32, vectors.shape)
    exact = vectors.astype(np.longdouble)
    exact /= np.sqrt((exact**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(units, exact.astype(np.float64), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize(
    "arranged",
    [np.asfortranarray, lambda array: np.repeat(array, 2, axis=1)[:, ::2], lambda array: array[::-1]],
    ids=["fortran", "strided", "reversed"],
)
def test_the_arrangement_in_memory_makes_no_difference(arranged):
    vectors = arranged(np.random.default_rng(1).normal(size=(50, 9)).astype(np.float32))
    np.testing.assert_array_equal(row_norms(vectors), row_norms(vectors.copy(order="C")))
    np.testing.assert_array_equal(unit_rows(vectors), unit_rows(vectors.copy(order="C")))


def test_no_rows_have_no_norms():
    assert row_norms(np.zeros((0, 3), dtype=np.float32)).shape == (0,)


@given(
    npst.arrays(np.float32, st.integers(0, 30), elements=st.integers(-3, 3).map(float)),
    st.integers(0, 40),
)
def test_the_best_are_the_highest_and_equal_ones_the_first(scores, count):
    order = sorted(range(len(scores)), key=lambda position: (-scores[position], position))
    assert best(scores, count).tolist() == order[:count]


@given(
    npst.arrays(np.float32, st.integers(0, 30), elements=st.integers(-3, 3).map(float)),
    st.integers(0, 40),
    st.randoms(use_true_random=False),
)
def test_equal_ones_come_in_the_order_of_what_breaks_ties(scores, count, random):
    ties = random.sample(range(100), len(scores))
    order = sorted(range(len(scores)), key=lambda position: (-scores[position], ties[position]))
    found = best(scores, count, np.array(ties, dtype=np.int32))
    assert (found.dtype, found.tolist()) == (np.int64, order[:count])
