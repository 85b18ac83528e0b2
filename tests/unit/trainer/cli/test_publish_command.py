"""`publish` for vectors of any model: what it says of what it read."""

from __future__ import annotations

import pytest

from lightfm_retriever.publication.reader import open_publication
from tests.other_model import ITEMS, USERS, Model, publisher


def test_the_result_tells_what_was_read_found_and_left_out(capsys, tmp_path):
    model = Model(tmp_path)
    made = publisher(tmp_path / "volume", capsys)(*model.flags(), "--backend", "exact")
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
