"""Neighbours score as the matrix that they are the rows of."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours

ITEMS = 7


def _neighbours(random: np.random.Generator) -> tuple[Neighbours, np.ndarray]:
    dense = random.normal(size=(ITEMS, ITEMS)).astype(np.float32)
    dense[random.random((ITEMS, ITEMS)) < 0.5] = 0
    np.fill_diagonal(dense, 0)
    owners, values = np.nonzero(dense)
    return Neighbours(ragged.of_owners(owners, values, ITEMS), dense[owners, values]), dense


@given(st.integers(0, 2**32 - 1))
def test_neighbours_weigh_the_items_of_a_session(seed: int) -> None:
    random = np.random.default_rng(seed)
    neighbours, dense = _neighbours(random)
    items = random.permutation(ITEMS)[:3]
    weights = random.random(3).astype(np.float32)
    scores = neighbours.scores(items, weights)
    np.testing.assert_allclose(scores, weights.astype(np.float64) @ dense[items], atol=1e-5)


def test_no_item_scores_zero_everywhere() -> None:
    neighbours, _ = _neighbours(np.random.default_rng(1))
    scores = neighbours.scores(np.empty(0, dtype=np.int64))
    assert scores.tolist() == [0] * ITEMS
