"""Neighbours score as the matrix that they are the rows of."""

from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.vectors import neighbours as neighbours_module
from lightfm_retriever.publication.vectors.neighbours import Neighbours

ITEMS = 7


def _neighbours(random: np.random.Generator) -> tuple[Neighbours, np.ndarray]:
    """Of any number of neighbours, of none at all, or of three or none."""
    dense = random.normal(size=(ITEMS, ITEMS)).astype(np.float32)
    kind = random.integers(0, 3)
    if kind == 0:
        dense[random.random((ITEMS, ITEMS)) < 0.5] = 0
    else:
        for row in range(ITEMS):
            others = random.permutation(np.setdiff1d(np.arange(ITEMS), [row]))
            dense[row, others[3 * (kind - 1) * random.integers(0, 2) :]] = 0
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


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 16]))
def test_the_sums_of_few_neighbours_are_the_same_numbers(seed: int, share: int) -> None:
    random = np.random.default_rng(seed)
    neighbours, _ = _neighbours(random)
    items = random.permutation(ITEMS)[: random.integers(0, 4)]
    weights = random.random(len(items)).astype(np.float32) if random.random() < 0.5 else None
    whole = neighbours.scores(items, weights)
    with mock.patch.object(neighbours_module, "_SORTED_SHARE", share):
        rows, scores = neighbours.sums(items, weights)
    if rows is None:
        assert scores.tobytes() == whole.tobytes()
        return
    assert (np.diff(rows) > 0).all()
    assert scores.tobytes() == whole[rows].tobytes()
    assert not np.delete(whole, rows).any()
    assert neighbours.count(items) >= len(rows)


@given(st.integers(0, 2**32 - 1))
def test_the_weights_of_one_item_are_its_row(seed: int) -> None:
    random = np.random.default_rng(seed)
    neighbours, dense = _neighbours(random)
    rows = random.integers(0, ITEMS, 5)
    for item in range(ITEMS):
        np.testing.assert_array_equal(neighbours.of_item(item, rows), dense[item, rows])
