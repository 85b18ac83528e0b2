"""BPR by the package `implicit`: its biases are published, and rows that it never draws say nothing."""

import numpy as np

from tests.unit.trainer.models.blocks import planted
from trainer.models.bpr import Bpr, BprSettings
from trainer.models.protocol import Fitting

SETTINGS = BprSettings(components=8, epochs=20)


def test_biases_of_items_are_kept_and_users_have_none():
    made = Bpr().fit(planted(), SETTINGS, Fitting(seed=1)).embeddings
    assert made.item_vectors.shape[1] == made.user_vectors.shape[1] == 9
    assert len(np.unique(made.item_vectors[:, -1])) > 10
    assert not made.user_vectors[:, -1].any()


def test_rows_without_a_positive_do_not_depend_on_the_seed():
    dataset = planted(more=[("u0", "unloved", 0.0), ("nobody", "i1", 0.0)])
    made = Bpr().fit(dataset, SETTINGS, Fitting(seed=1)).embeddings
    unloved, nobody = dataset.items.row("unloved"), dataset.users.row("nobody")
    lengths = np.linalg.norm(made.item_embeddings, axis=1)
    assert lengths[unloved] < 0.01 * np.delete(lengths, unloved).min()
    assert made.item_vectors[unloved, -1] == made.item_vectors[:, -1].min()
    assert not made.user_vectors[nobody].any()
