"""Rank all items for users: the best items and the area under the ROC curve, from the same scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.evaluation.measures import Top, Values
from trainer.fitting.scores import UserScores, best_rows, blocks


@dataclass(frozen=True)
class Ranking:
    """The rankings of some users.

    Attributes:
        top: (users, count) rows of the best items, best first; -1 where no item is left.
        auc: (users,) the area under the ROC curve; NaN for a user without a positive or without
            another item.
    """

    top: Top
    auc: Values


def rank_all(
    scores: UserScores,
    users: NDArray[np.int64],
    positives: Ragged,
    *,
    count: int,
    ties: NDArray[np.integer] | None = None,
) -> Ranking:
    """Rank all items for some users.

    Args:
        scores: of any model.
        users: rows of users, (n,).
        positives: for each row of a user the rows of positives.
        count: the length of `top`.
        ties: see best_rows.
    """
    top, areas = [], []
    for own, block in blocks(scores, users):
        areas.append(_areas(block, own, positives, None))
        top.append(best_rows(block, count, ties))
    return _joined(top, areas, count)


def rank_both(
    scores: UserScores,
    users: NDArray[np.int64],
    positives: Ragged,
    seen: Ragged,
    *,
    count: int,
    ties: NDArray[np.integer] | None = None,
) -> tuple[Ranking, Ranking]:
    """Rank all items, and the items that a user hasn't seen, from one computation of the scores.

    Args:
        scores, users, count, ties: see rank_all.
        positives: for each row of a user the rows of positives, none of which is seen.
        seen: for each row of a user the distinct rows of seen items.
    """
    top_of_all, top_of_unseen = [], []
    of_all, of_unseen = [], []
    for own, block in blocks(scores, users):
        ordered = np.sort(block, axis=1)
        of_all.append(_areas(block, own, positives, None, ordered))
        of_unseen.append(_areas(block, own, positives, seen, ordered))
        top_of_all.append(best_rows(block, count, ties))
        for place, user in enumerate(own.tolist()):
            block[place, seen[user]] = -np.inf
        top_of_unseen.append(best_rows(block, count, ties))
    return _joined(top_of_all, of_all, count), _joined(top_of_unseen, of_unseen, count)


def _joined(top: list[Top], areas: list[Values], count: int) -> Ranking:
    nobody = np.empty((0, count), dtype=np.int64)
    return Ranking(np.concatenate([nobody, *top]), np.concatenate([np.empty(0), *areas]))


def _areas(
    block: Float32Array,
    users: NDArray[np.int64],
    positives: Ragged,
    seen: Ragged | None,
    ordered: Float32Array | None = None,
) -> Values:
    """Return for each user the share of pairs of a positive and another item in the right order.

    A pair with equal scores counts half, so that a model that tells nothing gets 0.5 (the statistic of
    Mann and Whitney 1947). Other items are those that are neither positive nor seen.
    """
    if ordered is None:
        ordered = np.sort(block, axis=1)
    found = np.full(len(users), np.nan)
    for place, user in enumerate(users.tolist()):
        wanted = positives[user]
        others = block.shape[1] - len(wanted)
        own = np.sort(block[place, wanted])
        left_out = [own]
        if seen is not None:
            left_out.append(np.sort(block[place, seen[user]]))
            others -= len(left_out[1])
        if others <= 0 or not len(wanted):
            continue
        # Twice the others below each positive, and once those that are equal to it.
        below = _ranks(ordered[place], own)
        for scores in left_out:
            below -= _ranks(scores, own)
        found[place] = below.mean() / (2 * others)
    return found


def _ranks(ordered: Float32Array, own: Float32Array) -> NDArray[np.int64]:
    ranks: NDArray[np.int64] = ordered.searchsorted(own) + ordered.searchsorted(own, side="right")
    return ranks
