"""Item-kNN is the cosine with shrinkage, computed here pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import datasets
from tests.unit.trainer.models.blocks import dense, planted
from tests.unit.trainer.models.test_ease import some_rows
from trainer.models import item_knn
from trainer.models.factors import positives_of
from trainer.models.item_knn import WEIGHTINGS, ItemKnn, ItemKnnSettings
from trainer.models.protocol import Fitting


def fit(dataset, fitting=None, **own):
    return ItemKnn().fit(dataset, ItemKnnSettings(**own), fitting or Fitting())


def weighed(matrix, weighting):
    """Each interaction times the rarity of its user, after the formulas of TF-IDF and BM25."""
    if weighting == "none":
        return matrix
    users, items = matrix.shape
    found = np.zeros_like(matrix)
    lengths = matrix.sum(axis=0)
    for user in range(users):
        count = (matrix[user] > 0).sum()
        for item in range(items):
            value = matrix[user, item]
            if not value:
                continue
            rarity = np.log(1 + items / count)
            if weighting == "tfidf":
                found[user, item] = np.sqrt(value) * rarity
            else:
                norm = 0.25 + 0.75 * lengths[item] / lengths.mean()
                found[user, item] = value * 2.2 / (1.2 * norm + value) * rarity
    return found


def naive(matrix, shrinkage):
    items = matrix.shape[1]
    found = np.zeros((items, items))
    for i in range(items):
        for j in range(items):
            length = np.sqrt((matrix[:, i] ** 2).sum() * (matrix[:, j] ** 2).sum()) + shrinkage
            if i != j and length:
                found[i, j] = matrix[:, i] @ matrix[:, j] / length
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 100), st.sampled_from(WEIGHTINGS), st.booleans())
def test_the_similarity_is_the_cosine_with_shrinkage(seed, shrinkage, weighting, weighted):
    dataset = datasets.dataset(some_rows(seed))
    matrix = positives_of(dataset, weighted=weighted).toarray().astype(np.float64)
    fitting = Fitting(sample_weights=weighted)
    found = dense(fit(dataset, fitting, shrinkage=shrinkage, weighting=weighting))
    np.testing.assert_allclose(found, naive(weighed(matrix, weighting), shrinkage), atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 60])
def test_the_size_of_parts_does_not_matter(monkeypatch, chunk):
    expected = dense(fit(planted()))
    monkeypatch.setattr(item_knn, "_CHUNK", chunk)
    np.testing.assert_array_equal(dense(fit(planted())), expected)


def test_the_most_alike_neighbours_are_kept():
    whole, kept = (dense(fit(planted(), neighbours=count)) for count in (100, 3))
    # An item is scored by its own nearest items, so these are in its column.
    assert ((kept > 0).sum(axis=0) == 3).all()
    assert np.sort(kept, axis=0)[-3:].tolist() == np.sort(whole, axis=0)[-3:].tolist()


def test_variations_stay_in_their_ranges():
    for start in (ItemKnnSettings(neighbours=1, shrinkage=0.0), ItemKnnSettings()):
        around = ItemKnn().around(start)
        assert any(one.shrinkage > start.shrinkage for one in around)


def test_users_of_one_item_each_leave_no_neighbours_and_it_is_told():
    single = datasets.dataset([(f"u{user}", f"i{user % 3}", 1.0) for user in range(9)])
    found = ItemKnn().fit(single, ItemKnnSettings(), Fitting())
    assert "all scores are 0" in "".join(found.warnings)
