"""What is served of a model, and a user who is nothing but features, as LightFM has it."""

import numpy as np
import pytest
import scipy.sparse as sp

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES, IdMap
from lightfm_retriever.publication.vectors.vector_space import fold_biases
from tests import datasets
from trainer.errors import DivergedError
from trainer.fitting.embeddings import extract_embeddings, learned
from trainer.fitting.lightfm_model import train
from trainer.fitting.warm_start import ModelState, SideState, state_of


def fitted(**options):
    dataset = datasets.dataset(**options)
    return train(dataset, datasets.QUICK, on_epoch=lambda: None), dataset


def test_scores_from_vectors_are_what_the_model_predicts():
    table = datasets.table({"u0": ["age:1"], "new": ["age:1"]})
    model, dataset = fitted(items=datasets.genres(), users=table)
    embeddings = extract_embeddings(model, dataset)
    users, items = np.divmod(np.arange(len(dataset.users) * len(dataset.items)), len(dataset.items))
    features = {"item_features": dataset.item_features, "user_features": dataset.user_features}
    predicted = model.predict(users, items, **features)
    # A query has 1 where the user's bias was.
    scores = embeddings.queries @ embeddings.item_vectors.T + embeddings.user_vectors[:, -1:]
    np.testing.assert_allclose(scores.ravel(), predicted, atol=1e-5)
    assert embeddings.components == 4
    for vectors in (embeddings.item_vectors, embeddings.user_vectors):
        assert (vectors.shape[1], vectors.dtype) == (5, np.float32)
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
            for value, what in ((np.nan, "aren't finite"), (0, "are zero"), (1e-25, "are shorter than"))
        ),
        # LightFM itself only looks for what isn't finite.
        *(
            (f"{of}_{what}", 1e20, DivergedError, DIVERGED.format(f"{of} {what}"))
            for of in ("item", "user")
            for what in ("embeddings", "biases")
        ),
    ],
)
def test_a_model_that_cannot_be_served_is_refused(numbers, value, error, reason):
    model, dataset = fitted()
    getattr(model, numbers)[3] = value
    with pytest.raises(error, match=reason):
        extract_embeddings(model, dataset)


# u22 and u23 have no features. "x" has features only, no interactions.
FEATURES = {f"u{user}": [f"age:{user % 3}", *["sex:ő"] * (user % 2)] for user in range(22)}
FEATURES |= {"x": ["age:1", "sex:ő"], "u4": ["age:1", "z:1"]}


@pytest.fixture(scope="module")
def made():
    dataset = datasets.dataset(users=datasets.table(FEATURES, name="users.csv"))
    model = train(dataset, datasets.QUICK, on_epoch=lambda: None)
    return dataset, model, learned(state_of(model, dataset))


def test_a_user_of_features_alone_is_their_mean_and_lightfms_own_representation(made):
    dataset, model, features = made
    alone = features.alone(dataset)
    assert (alone.shape, alone.dtype) == ((len(dataset.users), 5), np.float32)
    vectors = dict(zip(features.names, features.vectors, strict=True))
    names = {name: len(dataset.users) + at for at, name in enumerate(dataset.user_feature_names)}
    for row in range(len(dataset.users)):
        own = FEATURES.get(dataset.users.external_id(row), [])
        if not own:
            assert not alone[row].any()
            continue
        np.testing.assert_allclose(alone[row], np.mean([*map(vectors.get, own)], axis=0), rtol=1e-5)
        # What LightFM makes of a user it has never seen: a row of features, normalised as in training.
        stranger = sp.lil_matrix((1, len(names) + len(dataset.users)), dtype=np.float32)
        stranger[0, [names[one] for one in own]] = 1 / len(own)
        biases, embeddings = model.get_user_representations(stranger.tocsr())
        np.testing.assert_allclose(alone[row], fold_biases(embeddings, biases)[0], rtol=1e-5)
    # Who was cold in training is served so.
    row = dataset.users.row("x")
    biases, embeddings = model.get_user_representations(dataset.user_features)
    np.testing.assert_allclose(alone[row], fold_biases(embeddings, biases)[row], rtol=1e-5)


def test_names_too_long_to_be_looked_up_are_left_out_and_huge_numbers_are_no_features():
    def learned_of(*names):
        """What was learned of two users and so many features."""
        vectors = np.arange((2 + len(names)) * 3, dtype=np.float32).reshape(-1, 3) * scale
        rows = np.arange(2, dtype=np.int32)
        users = SideState(IdMap.build(["a", "b"]), rows, [*names], vectors, np.ones_like(vectors))
        return learned(ModelState(users, users))

    scale, longest = 1, "x:" + "é" * ((MAX_ID_BYTES - 2) // 2)
    features = learned_of("a:1", longest + "x", longest)
    assert features.names == ["a:1", longest]
    np.testing.assert_array_equal(features.vectors, [[6, 7, 8], [12, 13, 14]])
    assert learned_of() is learned_of("x" * (MAX_ID_BYTES + 1)) is None
    # As of a model that diverged.
    scale = 1e20
    with pytest.raises(DivergedError, match="1 of 1 user feature vectors are longer than 1e\\+15"):
        learned_of("a:1")
