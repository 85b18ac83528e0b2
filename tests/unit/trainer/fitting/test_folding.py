"""Users' vectors by fold-in are those that a session of the same items gets."""

import numpy as np
import pytest

from lightfm_retriever.publication.vectors.fold_in import FoldIn
from tests.publications import ragged
from trainer.fitting import folding
from trainer.fitting.embeddings import Embeddings
from trainer.fitting.folding import folded_users

ITEMS, USERS, COMPONENTS = 30, 12, 4


@pytest.fixture
def made():
    random = np.random.default_rng(1)
    items, users = (
        random.normal(size=(count, COMPONENTS + 1)).astype(np.float32) for count in (ITEMS, USERS)
    )
    # The third user has nothing.
    counts = [0 if user == 2 else 1 + user % 5 for user in range(USERS)]
    profiles = ragged([np.sort(random.choice(ITEMS, count, replace=False)) for count in counts])
    return Embeddings(item_vectors=items, user_vectors=users), profiles


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_each_user_is_folded_in_from_its_items(monkeypatch, made, chunk):
    embeddings, profiles = made
    rows = folding.row_chunks
    monkeypatch.setattr(folding, "row_chunks", lambda count: rows(count, chunk))
    fold_in = FoldIn.build(embeddings.item_vectors, embeddings.user_vectors, profiles, seed=1)
    before = embeddings.user_vectors.copy()
    found = folded_users(fold_in, embeddings, profiles)
    assert (found.shape, found.dtype) == ((USERS, COMPONENTS + 1), np.float32)
    for user in range(USERS):
        if not len(profiles[user]):
            np.testing.assert_array_equal(found[user], before[user])
            continue
        items = embeddings.item_embeddings[profiles[user]]
        parts = fold_in.parts(items, np.ones(len(items), dtype=np.float32))
        np.testing.assert_allclose(found[user, :-1], parts.sum(axis=0), rtol=1e-3, atol=1e-5)
        # A user's bias doesn't change the order of items.
        assert found[user, -1] == 0
    np.testing.assert_array_equal(embeddings.user_vectors, before)
