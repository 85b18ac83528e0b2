from __future__ import annotations

import numpy as np
import pytest

from lightfm_retriever.publication.errors import VectorError
from tests import datasets
from trainer.errors import DivergedError
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import train


def fitted(**options):
    dataset = datasets.dataset(**options)
    return train(dataset, datasets.QUICK, on_epoch=lambda: None), dataset


@pytest.mark.parametrize("hybrid", [False, True])
def test_scores_from_vectors_are_what_the_model_predicts(hybrid):
    table = datasets.table({"u0": ["age:1"], "new": ["age:1"]})
    model, dataset = fitted(**({"items": datasets.genres(), "users": table} if hybrid else {}))
    embeddings = extract_embeddings(model, dataset)
    users, items = np.divmod(np.arange(len(dataset.users) * len(dataset.items)), len(dataset.items))
    predicted = model.predict(
        users, items, item_features=dataset.item_features, user_features=dataset.user_features
    )
    # A query has 1 where the user's bias was.
    scores = embeddings.queries @ embeddings.item_vectors.T + embeddings.user_vectors[:, -1:]
    np.testing.assert_allclose(scores.ravel(), predicted, atol=1e-5)
    assert embeddings.components == 4
    assert embeddings.item_vectors.shape == (len(dataset.items), 5)
    assert embeddings.user_vectors.shape == (len(dataset.users), 5)
    assert embeddings.item_vectors.dtype == embeddings.user_vectors.dtype == np.float32
    np.testing.assert_array_equal(embeddings.item_embeddings, embeddings.item_vectors[:, :4])
    # The model doesn't share them.
    before = embeddings.item_vectors.copy()
    model.item_embeddings += 1
    np.testing.assert_array_equal(embeddings.item_vectors, before)


DIVERGED = "training diverged: 1 of .* {} are longer than .* at row 3.*rate"


@pytest.mark.parametrize(
    ("numbers", "value", "error", "reason"),
    [
        # An item without a direction isn't published.
        *(
            ("item_embeddings", value, VectorError, f"1 of 16 item embeddings {what}.* first at row 3")
            for value, what in (
                (np.nan, "aren't finite"),
                (np.inf, "aren't"),
                (0, "are zero"),
                (1e-25, "are shorter than 1e-15"),
            )
        ),
        # LightFM itself only looks for what isn't finite.
        ("item_embeddings", 1e20, DivergedError, DIVERGED.format("item embeddings")),
        ("user_embeddings", 1e20, DivergedError, DIVERGED.format("user embeddings")),
        ("item_biases", 1e20, DivergedError, DIVERGED.format("item biases")),
        ("user_biases", 1e20, DivergedError, DIVERGED.format("user biases")),
    ],
)
def test_a_model_that_cannot_be_served_is_refused(numbers, value, error, reason):
    model, dataset = fitted()
    getattr(model, numbers)[3] = value
    with pytest.raises(error, match=reason):
        extract_embeddings(model, dataset)
