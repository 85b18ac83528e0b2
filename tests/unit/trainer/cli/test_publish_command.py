"""`publish` for vectors of any model: what it says of what it read, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.reader import list_versions, open_publication
from tests.other_model import ITEM_IDS, ITEMS, USERS, Model, publisher
from trainer.__main__ import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def publish(capsys, tmp_path):
    return publisher(tmp_path / "volume", capsys)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1e30, "{bad}: 1 of 300 vectors are "),
        (None, "{bad}: has 299 vectors, but {ids} has 300 ids\n"),
    ],
)
def test_vectors_that_cannot_be_used_are_named_and_nothing_is_published(
    model, capsys, tmp_path, number, said
):
    bad, ids, volume = tmp_path / "bad.npy", model.folder / "items.txt", tmp_path / "volume"
    vectors = model.items[:-1] if number is None else model.items.copy()
    if number is not None:
        vectors[2] = number
    np.save(bad, vectors)
    flags = ["--item-vectors", bad, "--item-ids", ids, "--volume", volume]
    assert main(["publish", *map(str, flags)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {said.format(bad=bad, ids=ids)}")
    if number is not None:
        assert f"the first is that of row 3 in {ids}, {ITEM_IDS[2]!r}" in printed.err
    assert list_versions(volume) == []
    assert list_labels(volume) == {}


def test_the_result_tells_what_was_read_found_and_left_out(model, publish, tmp_path):
    made = publish(*model.flags(), "--backend", "exact")
    assert (made["items"], made["users"]) == (ITEMS, USERS)
    assert made["dataset"] == {
        "name": "items.npy",
        "split": "own",
        "train_interactions": 8 * USERS,
        "test_interactions": USERS,
        "item_features": [],
        "user_features": [],
        "weight": None,
    }
    assert made["hyperparameters"] == {}
    # Each user's best item is held out, and the only one.
    metrics = made["metrics"]
    assert metrics["evaluated_users"] == USERS
    assert metrics["test_precision_at_10_unseen"] == pytest.approx(0.1)
    assert metrics["test_auc_unseen"] == pytest.approx(1)
    # Of the 299 others one is better at the least.
    assert 0.9 < metrics["test_auc"] < 298.1 / 299
    assert list(made["seconds"]) == ["read", "index", "publish", "verify", "gates"]
    [warning] = made["warnings"]
    assert warning.startswith(
        f"1 of {8 * USERS + 1} rows of {model.folder / 'seen.parquet'} are of users"
    )
    opened = open_publication(tmp_path / "volume", made["version"])
    assert opened.manifest.metrics == metrics
    assert list(opened.manifest.run.seconds) == ["read", "index"]
    assert len(opened.held_out.values) == USERS
