from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout, reader
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    ManifestError,
    MismatchError,
    VectorError,
    VersionNotFoundError,
)
from lightfm_retriever.publication.writer import Staging
from tests import datasets, publications
from trainer.errors import OptionError
from trainer.fitting import warm_start
from trainer.fitting.lightfm_model import LOSSES, new_model, train

ARRAYS = [
    f"{side}_{what}"
    for side in ("item", "user")
    for what in ("embeddings", "biases", "embedding_gradients", "bias_gradients")
]
QUICK = replace(datasets.QUICK, epochs=5)


def fit(dataset, hyperparameters=QUICK, **options):
    return train(dataset, hyperparameters, on_epoch=lambda: None, **options)


def users_table():
    return datasets.table(
        {f"u{user}": [f"gender:{'mf'[user % 2]}"] for user in range(datasets.USERS)}, name="users.csv"
    )


def whole(**changes):
    return datasets.dataset(items=datasets.genres(), users=users_table(), **changes)


def publish(volume, state, dataset):
    """A publication with the ids and the state of a dataset; the rest of it is made up."""
    random = np.random.default_rng(1)
    with Staging(volume) as staging:
        for name in (publications.SIMILAR_FILE, publications.RECOMMEND_FILE):
            staging.path(name).write_bytes(b"an index")
        staging.add_id_map(layout.ITEM_IDS, dataset.items)
        staging.add_id_map(layout.USER_IDS, dataset.users)
        for name, ids in ((layout.ITEM_VECTORS, dataset.items), (layout.USER_VECTORS, dataset.users)):
            staging.add_array(name, random.normal(size=(len(ids), 5)).astype(np.float32))
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, dataset.seen())
        if state is not None:
            warm_start.stage(staging, state)
        facts = publications.facts(items=len(dataset.items), users=len(dataset.users), components=4)
        indexes = {
            name: replace(index, items=len(dataset.items)) for name, index in facts.indexes.items()
        }
        return staging.publish(replace(facts, indexes=indexes)).version


def column(dataset, kind, name):
    """A column's place in LightFM's arrays; an id is given as ("id", external id)."""
    ids = getattr(dataset, f"{kind}s")
    if isinstance(name, tuple):
        return ids.row(name[1])
    return len(ids) + getattr(dataset, f"{kind}_feature_names").index(name)


def assert_same_arrays(first, second):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def assert_same(first, second):
    for one, other in ((first.items, second.items), (first.users, second.users)):
        assert [side_ids(one), one.features] == [side_ids(other), other.features]
        np.testing.assert_array_equal(one.vectors, other.vectors)
        np.testing.assert_array_equal(one.gradients, other.gradients)


def side_ids(state):
    return [state.ids.external_id(row) for row in state.rows.tolist()]


@pytest.mark.parametrize("loss", LOSSES)
def test_going_on_from_a_state_is_the_same_as_never_having_stopped(loss):
    """To the last bit, when the order of the samples goes on too: nothing else is needed."""
    dataset, options = whole(), replace(QUICK, loss=loss)
    model = fit(dataset, options)
    warm = warm_start.warm_model(warm_start.state_of(model, dataset), dataset, options)
    warm.random_state = deepcopy(model.random_state)
    assert_same_arrays(warm, model)
    # Training goes on in the model that was given.
    assert fit(dataset, options, start=warm) is warm
    fit(dataset, options, start=model)
    assert_same_arrays(warm, model)
    assert not model.item_embedding_momentum.any()


def test_the_gradient_sums_matter():
    """Without them a warm start would take the large steps of a first epoch."""
    dataset = whole()
    state = warm_start.state_of(fit(dataset), dataset)
    assert state.items.gradients.max() > 2

    def moved(of):
        warm = warm_start.warm_model(of, dataset, QUICK)
        before = warm.item_embeddings.copy()
        fit(dataset, replace(QUICK, epochs=1), start=warm)
        return np.abs(warm.item_embeddings - before).mean()

    forgotten = replace(
        state, items=replace(state.items, gradients=np.ones_like(state.items.gradients))
    )
    assert moved(state) < 0.9 * moved(forgotten)


def test_a_warm_start_is_reproducible_by_its_seed():
    dataset = whole()
    state = warm_start.state_of(fit(dataset), dataset)

    def item_vectors(seed):
        options = replace(QUICK, seed=seed)
        start = warm_start.warm_model(state, dataset, options)
        return fit(dataset, options, start=start).item_embeddings

    np.testing.assert_array_equal(item_vectors(3), item_vectors(3))
    assert not np.array_equal(item_vectors(3), item_vectors(4))


def test_names_keep_their_vectors_when_rows_and_columns_move():
    dataset = whole()
    model = fit(dataset)
    # New ids and genres sort before and between the old ones; i3 and u3 have gone.
    changed = [row for row in datasets.rows() if row[1] != "i3" and row[0] != "u3"]
    changed += [("a new user", "i1", 1.0), ("u1", "a new item", 1.0), ("u11b", "i11b", 1.0)]
    genres = datasets.table({"i0": ["genres:Action"], "i1": ["genres:Drama"], "i2": ["genres:科幻"]})
    after = datasets.dataset(changed, items=genres, users=users_table())
    warm = warm_start.warm_model(warm_start.state_of(model, dataset), after, QUICK)

    for kind, count, features, arrays in (
        ("item", datasets.ITEMS, ["genres:Drama", "genres:科幻"], ARRAYS[:4]),
        ("user", datasets.USERS, ["gender:f", "gender:m"], ARRAYS[4:]),
    ):
        kept = [*(("id", f"{kind[0]}{number}") for number in range(count) if number != 3), *features]
        old, new = ([column(of, kind, name) for name in kept] for of in (dataset, after))
        assert old != new
        for name in arrays:
            np.testing.assert_array_equal(getattr(warm, name)[new], getattr(model, name)[old])


def test_new_columns_begin_as_in_a_first_training():
    dataset = whole()
    state = warm_start.state_of(fit(dataset), dataset)
    grown = [*datasets.rows(), ("u0", "new", 1.0), ("new", "i0", 1.0)]
    genres = datasets.genres()
    genres = replace(genres, features=[["genres:New"], *genres.features[1:]])
    after = datasets.dataset(grown, items=genres, users=users_table())
    warm = warm_start.warm_model(state, after, QUICK)
    first = new_model(QUICK)
    first._initialize(4, after.item_features.shape[1], after.user_features.shape[1])
    for own, name in (("item", ("id", "new")), ("item", "genres:New"), ("user", ("id", "new"))):
        place = column(after, own, name)
        for array in (name for name in ARRAYS if name.startswith(own)):
            np.testing.assert_array_equal(getattr(warm, array)[place], getattr(first, array)[place])
        assert 0 < np.abs(getattr(warm, f"{own}_embeddings")[place]).max() <= 0.5 / 4
        assert (getattr(warm, f"{own}_embedding_gradients")[place] == 1).all()


def test_an_id_and_a_feature_of_the_same_name_stay_apart():
    rows = [
        (user, {"i0": "genres:Drama"}.get(item, item), weight) for user, item, weight in datasets.rows()
    ]
    genres = {f"i{item}": ["genres:Drama", "genres:科幻"][item % 2 :] for item in range(1, 8)}
    dataset = datasets.dataset(rows, items=datasets.table(genres))
    model = fit(dataset)
    state = warm_start.state_of(model, dataset)
    warm = warm_start.warm_model(state, dataset, QUICK)
    own, feature = (column(dataset, "item", name) for name in (("id", "genres:Drama"), "genres:Drama"))
    assert own != feature
    for place in (own, feature):
        np.testing.assert_array_equal(warm.item_embeddings[place], model.item_embeddings[place])
    assert not np.array_equal(warm.item_embeddings[own], warm.item_embeddings[feature])
    # Nor does one stand in for the other where it is gone.
    without = datasets.dataset(rows, items=datasets.table({"i1": ["genres:科幻"]}))
    named = datasets.dataset(items=datasets.table({"i1": ["genres:Drama"]}))
    fresh = new_model(QUICK)
    fresh._initialize(4, named.item_features.shape[1], named.user_features.shape[1])
    only_id = warm_start.state_of(fit(without), without)
    assert "genres:Drama" in side_ids(only_id.items)
    place = column(named, "item", "genres:Drama")
    warm = warm_start.warm_model(only_id, named, QUICK)
    np.testing.assert_array_equal(warm.item_embeddings[place], fresh.item_embeddings[place])


def test_what_was_never_trained_is_not_in_a_state():
    """Items without interactions have a column of their own that no row uses."""
    genres = datasets.genres()
    table = replace(
        genres,
        ids=[*genres.ids, "cold"],
        features=[*genres.features, ["genres:Drama"]],
        titles=[*genres.titles, ""],
    )
    dataset = datasets.dataset(items=table)
    state = warm_start.state_of(fit(dataset), dataset)
    assert "cold" in dataset.items
    assert sorted(side_ids(state.items)) == sorted(f"i{item}" for item in range(datasets.ITEMS))
    assert sorted(state.items.features) == sorted(f"genres:{name}" for name in datasets.GENRES)
    assert (state.items.gradients >= 1).all()


def test_another_number_of_components_is_refused_with_both_numbers():
    dataset = whole()
    state = warm_start.state_of(fit(dataset), dataset)
    with pytest.raises(OptionError, match=r"--components is 8, but should be 4, as in the version"):
        warm_start.warm_model(state, dataset, replace(QUICK, components=8))


def test_a_publication_gives_its_state_back(tmp_path):
    dataset = whole()
    state = warm_start.state_of(fit(dataset), dataset)
    version = publish(tmp_path, state, dataset)
    loaded = warm_start.load(tmp_path, version)
    assert loaded.components == 4
    assert_same(loaded, state)
    assert {*side_ids(loaded.users)} == {f"u{user}" for user in range(datasets.USERS)}
    assert not loaded.items.vectors.flags.writeable
    assert_same_arrays(*(warm_start.warm_model(of, dataset, QUICK) for of in (state, loaded)))
    # Without features, and a gradient sum beyond float32 keeps no model from being published.
    dataset = datasets.dataset()
    model = fit(dataset)
    model.item_embedding_gradients[0, 0] = np.inf
    state = warm_start.state_of(model, dataset)
    loaded = warm_start.load(tmp_path, publish(tmp_path, state, dataset))
    assert loaded.items.features == loaded.users.features == []
    assert loaded.items.gradients.max() == np.finfo(np.float32).max
    assert_same(loaded, state)


def test_a_version_without_a_state_has_none_and_one_that_is_not_there_is_named(tmp_path):
    assert warm_start.load(tmp_path, publish(tmp_path, None, whole())) is None
    with pytest.raises(VersionNotFoundError, match="20261124T120000Z-3fa9c1"):
        warm_start.load(tmp_path, "20261124T120000Z-3fa9c1")


def test_numbers_that_are_not_finite_are_not_staged(tmp_path):
    dataset = whole()
    state = warm_start.state_of(fit(dataset), dataset)
    state.users.vectors[0, 0] = np.nan
    with pytest.raises(VectorError, match=r"model_user_vectors\.npy: not every number is finite"):
        publish(tmp_path, state, dataset)
    assert reader.list_versions(tmp_path) == []


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    volume = tmp_path_factory.mktemp("volume")
    dataset = whole()
    return volume, publish(volume, warm_start.state_of(fit(dataset), dataset), dataset)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def put(place, value):
    def spoil(array):
        copy = array.copy()
        copy[place] = value
        return copy

    return spoil


SPOILT = [
    (layout.MODEL_ITEM_ROWS, put(0, -1), InvalidPublicationError, r"ascend within 0\.\.15"),
    (layout.MODEL_ITEM_ROWS, put(-1, 16), InvalidPublicationError, r"ascend within 0\.\.15"),
    (layout.MODEL_USER_ROWS, put(1, 0), InvalidPublicationError, r"ascend within 0\.\.23"),
    (layout.MODEL_ITEM_ROWS, lambda a: a.astype(np.int64), MismatchError, "dtype is int64"),
    (
        layout.MODEL_ITEM_VECTORS,
        lambda a: a[:-1],
        MismatchError,
        r"shape is \(18, 5\), but should be \(19",
    ),
    (layout.MODEL_ITEM_VECTORS, lambda a: a[:, :-1], MismatchError, r"shape is \(19, 4\), but should"),
    (layout.MODEL_USER_VECTORS, put((1, 1), np.inf), InvalidPublicationError, "not every number"),
    (layout.MODEL_USER_GRADIENTS, put((1, 1), 0.5), InvalidPublicationError, "1 or more"),
    (layout.MODEL_ITEM_GRADIENTS, put((1, 1), np.nan), InvalidPublicationError, "1 or more"),
    (layout.MODEL_ITEM_GRADIENTS, lambda a: a.astype(float), MismatchError, "dtype is float64"),
    (layout.MODEL_ITEM_FEATURE_OFFSETS, put(1, 99), InvalidPublicationError, "offsets fall"),
    (layout.MODEL_ITEM_FEATURE_OFFSETS, lambda a: a[:0], MismatchError, "shape"),
    (layout.MODEL_ITEM_FEATURE_OFFSETS, lambda a: a[:-1], InvalidPublicationError, "offsets run"),
    (
        layout.MODEL_USER_FEATURE_BYTES,
        put(slice(None), np.frombuffer(b"gender:xgender:x", dtype=np.uint8)),
        InvalidPublicationError,
        "two features have the same name",
    ),
]


@pytest.mark.parametrize(("name", "spoil", "error", "message"), SPOILT)
def test_a_file_that_does_not_fit_is_named(published, tmp_path, name, spoil, error, message):
    volume, version = published
    copy = publications.copy(volume, tmp_path / "copy")
    directory = layout.version_dir(copy, version)
    publications.reseal(directory, name, npy(spoil(np.load(directory / name))))
    with pytest.raises(error, match=message) as caught:
        warm_start.load(copy, version)
    assert caught.value.path == directory / name


@pytest.mark.parametrize("name", layout.MODEL_FILES)
def test_a_flipped_bit_in_any_file_and_a_part_of_a_state_are_noticed(published, tmp_path, name):
    volume, version = published
    copy = publications.copy(volume, tmp_path / "copy")
    directory = layout.version_dir(copy, version)
    data = bytearray((directory / name).read_bytes())
    data[-1] ^= 1
    publications.overwrite(directory / name, bytes(data))
    with pytest.raises(MismatchError, match=f"{name}: SHA-256"):
        warm_start.load(copy, version)
    publications.edit_manifest(directory, lambda content: content["files"].pop(name))
    with pytest.raises(ManifestError, match=f"files: '{name}' is missing") as caught:
        warm_start.load(copy, version)
    assert caught.value.path == directory / layout.MANIFEST
