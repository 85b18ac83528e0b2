"""All kinds of models score users in one way, so that they are evaluated alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from trainer.fitting.scores import NeighbourScores, SameScores, UserScores, VectorScores, best_rows, top

USERS, ITEMS = 5, 7


def _neighbours(random: np.random.Generator, items: int = ITEMS) -> tuple[Neighbours, np.ndarray]:
    dense = random.normal(size=(items, items)).astype(np.float32)
    dense[random.random((items, items)) < 0.5] = 0
    np.fill_diagonal(dense, 0)
    owners, values = np.nonzero(dense)
    return Neighbours(ragged.of_owners(owners, values, items), dense[owners, values]), dense


def _profiles(random: np.random.Generator) -> tuple[ragged.Ragged, np.ndarray]:
    seen = random.random((USERS, ITEMS)) < 0.4
    return ragged.of_owners(*np.nonzero(seen), USERS), seen


@given(st.integers(0, 2**32 - 1))
def test_neighbours_score_the_sum_over_the_items_of_a_user(seed: int) -> None:
    random = np.random.default_rng(seed)
    neighbours, dense = _neighbours(random)
    profiles, seen = _profiles(random)
    expected = seen.astype(np.float64) @ dense
    for user in range(USERS):
        np.testing.assert_allclose(neighbours.scores(profiles[user]), expected[user], atol=1e-5)
    chunks = NeighbourScores(neighbours, profiles).chunks(np.arange(USERS))
    np.testing.assert_allclose(np.concatenate(list(chunks)), expected, atol=1e-5)


def test_vectors_score_as_their_inner_products_and_item_biases() -> None:
    random = np.random.default_rng(1)
    items, users = (random.normal(size=(n, 4)).astype(np.float32) for n in (ITEMS, USERS))
    expected = users[:, :-1] @ items[:, :-1].T + items[:, -1]
    chosen = np.array([3, 1])
    found = np.concatenate(list(VectorScores(items, users).chunks(chosen)))
    np.testing.assert_allclose(found, expected[chosen], rtol=1e-5)


@pytest.mark.parametrize("scores", [SameScores(np.array([1, 3, 3, 2, 0, 0, 0], dtype=np.float32))])
def test_the_best_items_are_without_excluded_ones_and_padded(scores: UserScores) -> None:
    excluded = ragged.of_pairs(np.array([0, 0, 1]), np.array([1, 3, 2]), 2)
    assert top(scores, np.array([0, 1]), excluded, 3).tolist() == [[2, 0, 4], [1, 3, 0]]
    assert top(scores, np.array([1]), None, 2).tolist() == [[1, 2]]
    assert top(scores, np.array([0]), excluded, 9).tolist() == [[2, 0, 4, 5, 6, -1, -1, -1, -1]]


def test_equal_scores_go_by_the_ties() -> None:
    ties = np.arange(ITEMS)[::-1]
    scores = SameScores(np.zeros(ITEMS, dtype=np.float32))
    assert top(scores, np.array([0]), None, 3, ties).tolist() == [[6, 5, 4]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.booleans())
def test_the_best_of_each_row_are_those_of_sorting(seed: int, count: int, by_ties: bool) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 3, (USERS, ITEMS)).astype(np.float32)
    odd = random.random(scores.shape)
    scores[odd < 0.2] = -np.inf
    scores[odd > 0.9] = np.nan
    scores[(odd > 0.85) & (odd < 0.9)] = np.inf
    ties = random.permutation(ITEMS) if by_ties else np.arange(ITEMS)
    found = best_rows(scores, count, ties if by_ties else None)
    for own, rows in zip(scores, found.tolist(), strict=True):
        left = [row for row in range(ITEMS) if own[row] > -np.inf]
        expected = sorted(left, key=lambda row: (-own[row], ties[row]))[:count]
        assert rows == [*expected, *[-1] * (count - len(expected))]
