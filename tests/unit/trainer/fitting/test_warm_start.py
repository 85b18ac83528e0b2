import functools
from copy import deepcopy
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest

from lightfm_retriever.publication import errors, layout, reader
from lightfm_retriever.publication.writer import Staging
from tests import datasets, publications
from tests.publications import ITEM_IDS, USER_IDS
from trainer.fitting import warm_start
from trainer.fitting.lightfm_model import LOSSES, new_model, train

KINDS = ("embeddings", "biases", "embedding_gradients", "bias_gradients")
ARRAYS = [f"{side}_{kind}" for side in ("item", "user") for kind in KINDS]
QUICK = replace(datasets.QUICK, epochs=5)
USER_TABLE = datasets.table({f"u{user}": [f"gender:{'mf'[user % 2]}"] for user in range(24)})
WHOLE = datasets.dataset(items=datasets.genres(), users=USER_TABLE)


def fit(dataset, hyperparameters=QUICK, **options):
    return train(dataset, hyperparameters, on_epoch=lambda: None, **options)


def named(**features):
    """A dataset of the ids of `publications`."""
    ids = ((user, item) for user in enumerate(USER_IDS) for item in enumerate(ITEM_IDS))
    rows = [(user, item, 1.0) for (row, user), (column, item) in ids if (row + column) % 3]
    return datasets.dataset(rows, **features)


@functools.cache
def hybrid():
    """One with features, and the state of a model of it, which isn't changed."""
    genres = datasets.table({item: [f"genres:{row % 3}"] for row, item in enumerate(ITEM_IDS)})
    genders = datasets.table({user: [f"gender:{row % 2}"] for row, user in enumerate(USER_IDS)})
    dataset = named(items=genres, users=genders)
    return dataset, warm_start.state_of(fit(dataset), dataset)


def publish(volume, state):
    with Staging(volume) as staging:
        publications.stage(staging)
        if state is not None:
            warm_start.stage(staging, state)
        return staging.publish(publications.facts()).version


def column(dataset, kind, name):
    """A column's place in LightFM's arrays; an id is given as ("id", external id)."""
    ids = getattr(dataset, f"{kind}s")
    if isinstance(name, tuple):
        return ids.row(name[1])
    return len(ids) + getattr(dataset, f"{kind}_feature_names").index(name)


def fresh_model(dataset):
    """One that wasn't trained yet, of a dataset's columns."""
    model = new_model(QUICK)
    model._initialize(4, dataset.item_features.shape[1], dataset.user_features.shape[1])
    return model


def assert_same_arrays(first, second):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def assert_same(first, second):
    for one, other in ((first.items, second.items), (first.users, second.users)):
        for of in (side_ids, *map(attrgetter, ("features", "vectors", "gradients"))):
            np.testing.assert_array_equal(of(one), of(other))


def side_ids(state):
    return [state.ids.external_id(row) for row in state.rows.tolist()]


@pytest.mark.parametrize("loss", LOSSES)
def test_going_on_from_a_state_is_the_same_as_never_having_stopped(loss):
    """To the last bit, when the order of the samples goes on too: nothing else is needed."""
    options = replace(QUICK, loss=loss)
    model = fit(WHOLE, options)
    warm = warm_start.warm_model(warm_start.state_of(model, WHOLE), WHOLE, options)
    warm.random_state = deepcopy(model.random_state)
    assert_same_arrays(warm, model)
    # Training goes on in the model that was given.
    assert fit(WHOLE, options, start=warm) is warm
    fit(WHOLE, options, start=model)
    assert_same_arrays(warm, model)
    assert not model.item_embedding_momentum.any()


def test_names_keep_their_vectors_when_rows_and_columns_move_and_new_ones_begin_anew():
    model = fit(WHOLE)
    state = warm_start.state_of(model, WHOLE)
    # New ids and genres sort before and between the old ones; i3 and u3 have gone.
    changed = [row for row in datasets.rows() if row[1] != "i3" and row[0] != "u3"]
    changed += [("a new user", "i1", 1.0), ("u1", "a new item", 1.0), ("u11b", "i11b", 1.0)]
    genres = datasets.table({"i0": ["genres:Action"], "i1": ["genres:Drama"], "i2": ["genres:科幻"]})
    after = datasets.dataset(changed, items=genres, users=USER_TABLE)
    warm, fresh = warm_start.warm_model(state, after, QUICK), fresh_model(after)
    for kind, count, features, added in (
        ("item", datasets.ITEMS, ["genres:Drama", "genres:科幻"], [("id", "i11b"), "genres:Action"]),
        ("user", datasets.USERS, ["gender:f", "gender:m"], [("id", "a new user"), ("id", "u11b")]),
    ):
        kept = [*(("id", f"{kind[0]}{number}") for number in range(count) if number != 3), *features]
        old, new = ([column(of, kind, name) for name in kept] for of in (WHOLE, after))
        assert old != new
        places = [column(after, kind, name) for name in added]
        for name in (own for own in ARRAYS if own.startswith(kind)):
            np.testing.assert_array_equal(getattr(warm, name)[new], getattr(model, name)[old])
            # As in a first training.
            np.testing.assert_array_equal(getattr(warm, name)[places], getattr(fresh, name)[places])
        assert 0 < np.abs(getattr(warm, f"{kind}_embeddings")[places]).max() <= 0.5 / 4
        assert (getattr(warm, f"{kind}_embedding_gradients")[places] == 1).all()


def test_an_id_and_a_feature_of_the_same_name_stay_apart():
    called = {"i0": "genres:Drama"}
    rows = [(user, called.get(item, item), weight) for user, item, weight in datasets.rows()]
    genres = {f"i{item}": ["genres:Drama", "genres:科幻"][item % 2 :] for item in range(1, 8)}
    dataset = datasets.dataset(rows, items=datasets.table(genres))
    model = fit(dataset)
    warm = warm_start.warm_model(warm_start.state_of(model, dataset), dataset, QUICK)
    both = [column(dataset, "item", name) for name in (("id", "genres:Drama"), "genres:Drama")]
    np.testing.assert_array_equal(warm.item_embeddings[both], model.item_embeddings[both])
    assert not np.array_equal(*warm.item_embeddings[both])
    # Nor does one stand in for the other where it is gone.
    without = datasets.dataset(rows, items=datasets.table({"i1": ["genres:科幻"]}))
    named = datasets.dataset(items=datasets.table({"i1": ["genres:Drama"]}))
    only_id = warm_start.state_of(fit(without), without)
    assert "genres:Drama" in side_ids(only_id.items)
    place = column(named, "item", "genres:Drama")
    warm, fresh = warm_start.warm_model(only_id, named, QUICK), fresh_model(named)
    np.testing.assert_array_equal(warm.item_embeddings[place], fresh.item_embeddings[place])


def test_what_was_never_trained_is_not_in_a_state():
    """Items without interactions have a column of their own that no row uses."""
    dataset = datasets.dataset(items=datasets.table({"i1": ["genres:Drama"], "cold": ["genres:Drama"]}))
    state = warm_start.state_of(fit(dataset), dataset)
    assert "cold" in dataset.items
    assert {*side_ids(state.items)} == {f"i{item}" for item in range(datasets.ITEMS)}
    assert (state.items.gradients >= 1).all()


def test_a_publication_gives_its_state_back(tmp_path):
    dataset, state = hybrid()
    loaded = warm_start.load(tmp_path, publish(tmp_path, state))
    assert_same(loaded, state)
    assert {*side_ids(loaded.users)} == {*USER_IDS}
    assert not loaded.items.vectors.flags.writeable
    assert_same_arrays(*(warm_start.warm_model(of, dataset, QUICK) for of in (state, loaded)))
    # Without features, and neither the least sum of gradients nor one beyond float32 is a problem.
    dataset = named()
    model = fit(dataset)
    model.item_embedding_gradients[0, :2] = 1, np.inf
    state = warm_start.state_of(model, dataset)
    loaded = warm_start.load(tmp_path, publish(tmp_path, state))
    assert loaded.items.features == loaded.users.features == []
    assert loaded.items.gradients.max() == np.finfo(np.float32).max
    assert_same(loaded, state)


def test_numbers_that_are_not_finite_are_not_published_and_without_a_state_there_is_none(tmp_path):
    state = deepcopy(hybrid()[1])
    state.users.vectors[0, 0] = np.nan
    with pytest.raises(
        errors.VectorError, match=r"model_user_vectors\.npy: not every number is finite"
    ):
        publish(tmp_path, state)
    assert reader.list_versions(tmp_path) == []
    assert warm_start.load(tmp_path, publish(tmp_path, None)) is None
    with pytest.raises(errors.VersionNotFoundError, match="20261124T120000Z-3fa9c1"):
        warm_start.load(tmp_path, "20261124T120000Z-3fa9c1")


def put(place, value):
    return lambda array: array.__setitem__(place, value) or array


SAME_NAME = np.frombuffer(b"gender:xgender:x", dtype=np.uint8)
SPOILT = {
    errors.InvalidPublicationError: [
        (layout.MODEL_ITEM_ROWS, put(0, -1), r"ascend within 0\.\.11"),
        (layout.MODEL_USER_ROWS, put(1, 0), r"ascend within 0\.\.5"),
        (layout.MODEL_USER_VECTORS, put((1, 1), np.inf), "not every number"),
        (layout.MODEL_USER_GRADIENTS, put((1, 1), 0.5), "1 or more"),
        (layout.MODEL_ITEM_GRADIENTS, put((1, 1), np.nan), "1 or more"),
        (layout.MODEL_ITEM_FEATURE_OFFSETS, put(1, 99), "offsets decrease"),
        (layout.MODEL_ITEM_FEATURE_OFFSETS, lambda a: a[:-1], "offsets run"),
        (layout.MODEL_USER_FEATURE_BYTES, put(..., SAME_NAME), "two features have the same name"),
    ],
    errors.MismatchError: [
        (layout.MODEL_ITEM_ROWS, lambda a: a.astype(np.int64), "dtype is int64"),
        (layout.MODEL_ITEM_VECTORS, lambda a: a[:-1], r"shape is \(14, 5\), but should be \(15"),
        (layout.MODEL_ITEM_FEATURE_OFFSETS, lambda a: a[:0], "shape"),
    ],
}


@pytest.mark.parametrize(
    ("error", "name", "spoil", "message"),
    [(error, *case) for error, cases in SPOILT.items() for case in cases],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, name, spoil, error, message):
    version = publish(tmp_path, hybrid()[1])
    path = layout.version_dir(tmp_path, version) / name
    publications.reseal(path.parent, name, publications.npy(spoil(np.load(path))))
    with pytest.raises(error, match=message) as caught:
        warm_start.load(tmp_path, version)
    assert caught.value.path == path
