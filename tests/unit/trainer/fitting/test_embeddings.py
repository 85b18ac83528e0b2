from __future__ import annotations

import numpy as np
import pytest

from lightfm_retriever.publication.errors import VectorError
from tests import datasets
from trainer.errors import DivergedError
from trainer.fitting.embeddings import Embeddings, extract_embeddings
from trainer.fitting.lightfm_model import train


@pytest.fixture(scope="module", params=["plain", "hybrid"])
def trained(request):
    items = datasets.genres() if request.param == "hybrid" else None
    users = datasets.table({"u0": ["age:1"], "new": ["age:1"]}) if request.param == "hybrid" else None
    dataset = datasets.dataset(items=items, users=users)
    return train(dataset, datasets.QUICK, on_epoch=lambda: None), dataset


def test_scores_from_vectors_are_what_the_model_predicts(trained):
    model, dataset = trained
    embeddings = extract_embeddings(model, dataset)
    users, items = np.divmod(np.arange(len(dataset.users) * len(dataset.items)), len(dataset.items))
    predicted = model.predict(
        users, items, item_features=dataset.item_features, user_features=dataset.user_features
    )
    scores = embeddings.queries @ embeddings.item_vectors.T + embeddings.user_vectors[:, -1:]
    np.testing.assert_allclose(scores.ravel(), predicted, atol=1e-5)


def test_their_shapes_and_types(trained):
    model, dataset = trained
    embeddings = extract_embeddings(model, dataset)
    assert embeddings.components == 4
    assert embeddings.item_vectors.shape == (len(dataset.items), 5)
    assert embeddings.user_vectors.shape == (len(dataset.users), 5)
    assert embeddings.item_vectors.dtype == embeddings.user_vectors.dtype == np.float32
    assert embeddings.item_embeddings.shape == (len(dataset.items), 4)


def test_the_model_does_not_share_them(trained):
    model, dataset = trained
    embeddings = extract_embeddings(model, dataset)
    before = embeddings.item_vectors.copy()
    model.item_embeddings += 1
    try:
        np.testing.assert_array_equal(embeddings.item_vectors, before)
    finally:
        model.item_embeddings -= 1


def test_a_query_has_1_where_the_users_bias_was():
    embeddings = Embeddings(
        np.array([[1, 2, 3]], dtype=np.float32), np.array([[4, 5, 6]], dtype=np.float32)
    )
    assert embeddings.queries.tolist() == [[4, 5, 1]]
    assert embeddings.user_vectors.tolist() == [[4, 5, 6]]
    assert embeddings.item_embeddings.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.nan, "aren't finite"), (np.inf, "aren't"), (0, "are zero"), (1e-25, "are shorter than 1e-15")],
)
def test_an_item_without_direction_is_not_published(value, reason):
    dataset = datasets.dataset()
    model = train(dataset, datasets.QUICK, on_epoch=lambda: None)
    model.item_embeddings[3] = value
    with pytest.raises(VectorError, match=f"1 of 16 item embeddings {reason}.* first at row 3"):
        extract_embeddings(model, dataset)


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        ("item_embeddings", "item embeddings"),
        ("user_embeddings", "user embeddings"),
        ("item_biases", "item biases"),
        ("user_biases", "user biases"),
    ],
)
def test_a_model_of_huge_but_finite_numbers_has_diverged(numbers, what):
    dataset = datasets.dataset()
    model = train(dataset, datasets.QUICK, on_epoch=lambda: None)
    getattr(model, numbers)[3] = 1e20
    with pytest.raises(
        DivergedError, match=f"training diverged: 1 of .* {what} are longer than .* at row 3.*rate"
    ):
        extract_embeddings(model, dataset)


def test_a_model_that_diverges_without_ever_being_infinite_is_an_error():
    """LightFM itself only looks for what isn't finite."""
    dataset = datasets.dataset()
    model = train(dataset, datasets.QUICK, on_epoch=lambda: None)
    model.item_embeddings *= np.float32(1e18)
    with pytest.raises(DivergedError, match="training diverged"):
        extract_embeddings(model, dataset)
