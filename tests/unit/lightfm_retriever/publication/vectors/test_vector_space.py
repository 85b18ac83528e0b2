import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lightfm_retriever.publication.errors import TooLongError, VectorError
from lightfm_retriever.publication.vectors import vector_space

finite = st.floats(-1000, 1000, width=32)
# From what float32 can hardly tell from zero to what it can hardly hold, with either sign.
magnitudes = st.floats(2.0**-100, 2.0**120, width=32)
magnitudes |= magnitudes.map(lambda number: -number)
ARRANGEMENTS = [
    np.ascontiguousarray,
    np.asfortranarray,
    lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    lambda array: array[::-1].copy()[::-1],
]


@st.composite
def matrices(draw, *, elements=finite):
    shape = (draw(st.integers(1, 20)), draw(st.integers(1, 8)))
    return draw(npst.arrays(np.float32, shape, elements=elements))


@st.composite
def items_and_query(draw):
    items = draw(matrices())
    query = draw(npst.arrays(np.float32, items.shape[1], elements=finite))
    # Nothing has a direction without them, and what underflows isn't what is tested.
    assume(np.linalg.norm(items, axis=1).max() > 1e-3)
    assume(np.linalg.norm(query) > 1e-3)
    return items, query


@given(items_and_query())
def test_the_order_by_augmented_angle_is_the_order_by_inner_product(drawn):
    items, query = (of.astype(np.float64) for of in drawn)
    products = items @ query
    augmented = vector_space.augment_items(drawn[0]).astype(np.float64)
    asked = vector_space.augment_queries(drawn[1]).astype(np.float64)
    cosines = augmented @ asked / (np.linalg.norm(augmented, axis=1) * np.linalg.norm(asked))
    # In float32 two products that differ by less can't be told apart.
    scale = np.linalg.norm(query) * np.linalg.norm(items, axis=1).max()
    apart = products[:, None] > products[None, :] + 1e-5 * scale
    assert (cosines[:, None] > cosines[None, :])[apart].all()


@given(matrices())
def test_augmented_items_and_queries_are_what_they_were_and_a_number_more(vectors):
    items, queries = vector_space.augment_items(vectors), vector_space.augment_queries(vectors)
    for augmented in (items, queries):
        assert augmented.dtype == np.float32
        np.testing.assert_array_equal(augmented[:, :-1], vectors)
    np.testing.assert_array_equal(vector_space.augment_queries(vectors[0]), queries[0])
    assert vector_space.augment_items(vectors[:0]).shape == (0, vectors.shape[1] + 1)


@given(matrices())
def test_splitting_undoes_folding_and_queries_are_copies(vectors):
    embeddings, biases = vector_space.split_biases(vectors)
    folded = vector_space.fold_biases(embeddings, biases)
    assert folded.dtype == np.float32
    np.testing.assert_array_equal(folded, vectors)
    assert embeddings.base is vectors
    queries = vector_space.user_queries(vectors)
    assert (queries[:, -1] == 1).all()
    np.testing.assert_array_equal(vector_space.user_queries(vectors[0]), queries[0])
    queries[:] = 0
    np.testing.assert_array_equal(vectors, folded)


def test_biases_of_another_shape_are_refused():
    for biases in (np.zeros(2), np.zeros((3, 1)), np.zeros(0), np.float32(0)):
        with pytest.raises(VectorError, match=r"\(3, 2\)"):
            vector_space.fold_biases(np.zeros((3, 2), dtype=np.float32), biases)
    with pytest.raises(VectorError, match=r"\(3,\)"):
        vector_space.fold_biases(np.zeros(3, dtype=np.float32), np.zeros(3))


@given(matrices(elements=magnitudes), st.sampled_from(ARRANGEMENTS))
def test_norms_and_unit_rows_are_those_of_exact_arithmetic(vectors, arranged):
    exact = vectors.astype(np.longdouble)
    expected = np.sqrt((exact**2).sum(axis=1))
    norms, units = vector_space.row_norms(arranged(vectors)), vector_space.unit_rows(arranged(vectors))
    assert (norms.dtype, norms.shape) == (np.float32, (len(vectors),))
    np.testing.assert_allclose(norms, expected.astype(np.float64), rtol=2e-7)
    assert (units.dtype, units.shape) == (np.float32, vectors.shape)
    exact /= expected[:, None]
    np.testing.assert_allclose(units, exact.astype(np.float64), rtol=1e-6, atol=1e-30)


@given(
    npst.arrays(np.float32, st.integers(0, 30), elements=st.integers(-3, 3).map(float)),
    st.integers(0, 40),
    st.randoms(use_true_random=False),
)
def test_the_best_are_the_highest_and_equal_ones_by_what_breaks_ties(scores, count, random):
    ties = random.sample(range(100), len(scores))
    for given_ties, by in ((None, range(len(scores))), (np.array(ties, dtype=np.int32), ties)):
        order = sorted(
            range(len(scores)), key=lambda position, by=by: (-scores[position], by[position])
        )
        found = vector_space.best(scores, count, given_ties)
        assert (found.dtype, found.tolist()) == (np.int64, order[:count])


@given(matrices(elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_only_rows_without_a_direction_and_rows_too_long_to_score_with_are_refused(vectors):
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    # On the bounds themselves rounding may decide.
    assume(not np.isclose(norms, 1e15, rtol=1e-12).any())
    assume(not np.isclose(norms, 1e-15, rtol=1e-12, atol=0).any())

    def is_refused(check):
        try:
            check(vectors, what="row")
        except VectorError:
            return True
        return False

    assert is_refused(vector_space.check_length) == bool((norms > 1e15).any())
    assert is_refused(vector_space.check_indexable) == bool(((norms > 1e15) | (norms < 1e-15)).any())


def test_rows_of_lengths_that_float32_cannot_score_with_are_named():
    one = (vector_space.check_indexable,)
    both = (*one, vector_space.check_length)
    for number, checks, reason in (
        (1e30, both, "are longer than 1e\\+15, first at row 2: their scores"),
        (np.nan, both, "aren't finite, first at row 2: the model"),
        (-np.inf, both, "aren't finite, first at row 2: the model"),
        (0, one, "are zero, first at row 2: a zero vector has no direction"),
        (1e-25, one, "are shorter than 1e-15, first at row 2: their squares are 0"),
    ):
        vectors = np.ones((5, 3), dtype=np.float32)
        vectors[2:4] = number
        for what, many in (("user bias", "user biases"), ("item embedding", "item embeddings")):
            error = TooLongError if number == 1e30 else VectorError
            for check in checks:
                with pytest.raises(error, match=f"2 of 5 {many} {reason}"):
                    check(vectors, what=what)
        if checks is one:
            vector_space.check_length(vectors, what="row")
