"""The best items and the area under the curve equal their definitions, also with equal scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.index import cases
from trainer.evaluation.ranking import rank_all, rank_both
from trainer.fitting import scores as fitted


@dataclass(frozen=True)
class Given:
    """Any scores."""

    matrix: np.ndarray

    @property
    def items(self):
        return self.matrix.shape[1]

    def chunks(self, users):
        for start in range(0, len(users), 3):
            yield self.matrix[users[start : start + 3]].copy()


def area(scores, positives, others):
    """The share of pairs in the right order, half of those that are equal."""
    pairs = [
        (scores[one] > scores[other]) + 0.5 * (scores[one] == scores[other])
        for one in positives
        for other in others
    ]
    return np.mean(pairs) if pairs else np.nan


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 9), st.integers(1, 12))
def test_rankings_are_what_sorting_and_counting_give(seed, users, items, count):
    random = np.random.default_rng(seed)
    # Few distinct scores, so that many are equal.
    matrix = random.integers(0, 4, (users, items)).astype(np.float32)
    kinds = random.integers(0, 3, (users, items))
    positives, seen = (cases.rows([np.flatnonzero(own == kind) for own in kinds]) for kind in (1, 2))
    ties = random.permutation(items)
    chosen = np.sort(random.choice(users, random.integers(1, users + 1), replace=False))
    every, unseen = rank_both(Given(matrix), chosen, positives, seen, count=count, ties=ties)
    alone = rank_all(Given(matrix), chosen, positives, count=count, ties=ties)
    for place, user in enumerate(chosen.tolist()):
        for found, allowed in (
            (every, range(items)),
            (alone, range(items)),
            (unseen, np.flatnonzero(kinds[user] != 2)),
        ):
            order = sorted(allowed, key=lambda item: (-matrix[user, item], ties[item]))[:count]
            assert found.top[place].tolist() == [*order, *[-1] * (count - len(order))]
        others = {
            name: np.flatnonzero(own)
            for name, own in (("all", kinds[user] != 1), ("unseen", kinds[user] == 0))
        }
        for found, name in ((every, "all"), (alone, "all"), (unseen, "unseen")):
            expected = area(matrix[user], positives[user], others[name])
            assert found.auc[place] == pytest.approx(expected, nan_ok=True)


def test_a_model_that_tells_nothing_has_half_the_area(monkeypatch):
    monkeypatch.setattr(fitted, "_BLOCK_SCORES", 40)
    positives = cases.rows([[1, 2]] * 30)
    everyone = np.arange(30)
    same = fitted.SameScores(np.zeros(20, dtype=np.float32))
    every, unseen = rank_both(same, everyone, positives, cases.rows([[5]] * 30), count=10)
    assert every.auc.tolist() == unseen.auc.tolist() == [0.5] * 30
    assert unseen.top.tolist() == [[0, 1, 2, 3, 4, 6, 7, 8, 9, 10]] * 30
    nobody, _ = rank_both(same, everyone[:0], positives, positives, count=10)
    assert nobody.top.shape == (0, 10)
