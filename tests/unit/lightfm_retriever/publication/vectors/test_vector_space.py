from __future__ import annotations

import numpy as np
import pytest
from annoy import AnnoyIndex
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lightfm_retriever.publication.errors import TooLongError, VectorError
from lightfm_retriever.publication.vectors import vector_space

finite = st.floats(-1000, 1000, width=32)


@st.composite
def matrices(draw, *, rows=None, columns=None, elements=finite):
    shape = (rows or draw(st.integers(1, 20)), columns or draw(st.integers(1, 8)))
    return draw(npst.arrays(np.float32, shape, elements=elements))


@st.composite
def items_and_query(draw):
    items = draw(matrices())
    query = draw(npst.arrays(np.float32, items.shape[1], elements=finite))
    # Nothing has a direction without them, and what underflows isn't what is tested.
    assume(np.linalg.norm(items, axis=1).max() > 1e-3)
    assume(np.linalg.norm(query) > 1e-3)
    return items, query


# ---- the transform


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
def test_augmented_items_all_have_the_largest_norm_and_queries_end_with_zero(vectors):
    items, queries = vector_space.augment_items(vectors), vector_space.augment_queries(vectors)
    for augmented in (items, queries):
        assert augmented.dtype == np.float32
        np.testing.assert_array_equal(augmented[:, :-1], vectors)
    largest = np.linalg.norm(vectors.astype(np.float64), axis=1).max()
    np.testing.assert_allclose(np.linalg.norm(items.astype(np.float64), axis=1), largest, rtol=1e-6)
    assert not queries[:, -1].any()
    np.testing.assert_array_equal(vector_space.augment_queries(vectors[0]), queries[0])
    assert vector_space.augment_items(vectors[:0]).shape == (0, vectors.shape[1] + 1)


def recall_at_10(metric, items, queries, *, search_k):
    """Annoy's recall of the ten largest inner products, averaged over the queries."""
    inner_products = queries.astype(np.float64) @ items.T
    if metric == "angular":
        items, queries = vector_space.augment_items(items), vector_space.augment_queries(queries)
    index = AnnoyIndex(items.shape[1], metric)
    index.set_seed(1)
    for row, item in enumerate(items):
        index.add_item(row, item)
    index.build(10, n_jobs=1)
    hits = 0
    for query, products in zip(queries, inner_products, strict=True):
        found = index.get_nns_by_vector(query, 10, search_k=search_k)
        hits += len({*found} & {*np.argsort(-products)[:10].tolist()})
    return hits / (10 * len(queries))


def test_annoy_finds_the_largest_inner_products_by_augmented_angle_and_not_by_its_own_dot():
    """Annoy 1.17.3 has issue 619. When the last line fails, a release without it is out."""
    random = np.random.default_rng(7)
    # Norms spread as those of a trained LightFM do: mostly by the bias.
    embeddings = random.normal(scale=1 / 16, size=(2000, 16)).astype(np.float32)
    items = vector_space.fold_biases(embeddings, random.normal(size=2000).astype(np.float32))
    users = random.normal(scale=1 / 16, size=(40, 17)).astype(np.float32)
    queries = vector_space.user_queries(users)
    assert recall_at_10("angular", items, queries, search_k=1000) == 1.0
    assert recall_at_10("dot", items, queries, search_k=1000) < 0.9


# ---- biases


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


@pytest.mark.parametrize("biases", [np.zeros(2), np.zeros((3, 1)), np.zeros(0), np.float32(0)])
def test_biases_of_another_shape_are_refused(biases):
    with pytest.raises(VectorError, match=r"\(3, 2\)"):
        vector_space.fold_biases(np.zeros((3, 2), dtype=np.float32), biases)
    with pytest.raises(VectorError, match=r"\(3,\)"):
        vector_space.fold_biases(np.zeros(3, dtype=np.float32), np.zeros(3))


@given(matrices(rows=5, columns=4), matrices(rows=7, columns=4))
def test_a_folded_product_is_lightfms_score_without_the_users_bias(users, items):
    user_embeddings, user_biases = vector_space.split_biases(users)
    item_embeddings, item_biases = vector_space.split_biases(items)
    scores = user_embeddings.astype(np.float64) @ item_embeddings.T + user_biases[:, None] + item_biases
    products = vector_space.user_queries(users).astype(np.float64) @ items.T
    np.testing.assert_allclose(products + user_biases[:, None], scores, rtol=1e-6, atol=1e-6)


# ---- what can't be indexed


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


@pytest.mark.parametrize(
    ("number", "either", "reason"),
    [
        (1e30, True, "are longer than 1e\\+15, first at row 2: scores"),
        (np.nan, True, "aren't finite, first at row 2: the model"),
        (-np.inf, True, "aren't finite, first at row 2: the model"),
        (0, False, "are zero, first at row 2: a zero vector has no direction"),
        (1e-25, False, "are shorter than 1e-15, first at row 2: their squares vanish"),
    ],
)
def test_rows_of_lengths_that_float32_cannot_score_with_are_named(number, either, reason):
    vectors = np.ones((5, 3), dtype=np.float32)
    vectors[2:4] = number
    for what, many in (("user bias", "user biases"), ("item embedding", "item embeddings")):
        error = TooLongError if number == 1e30 else VectorError
        with pytest.raises(error, match=f"2 of 5 {many} {reason}"):
            vector_space.check_indexable(vectors, what=what)
        if either:
            with pytest.raises(error, match=f"2 of 5 {many} {reason}"):
                vector_space.check_length(vectors, what=what)
        else:
            vector_space.check_length(vectors, what=what)


def test_products_of_the_longest_and_of_the_shortest_are_within_float32():
    for length in (vector_space.LONGEST, vector_space.SHORTEST):
        vector = np.full(64, length / 8, dtype=np.float32)
        np.testing.assert_allclose(vector @ vector, np.float64(length) ** 2, rtol=1e-5)
        assert vector @ vector > np.finfo(np.float32).tiny
