"""Quality of rankings by vectors alone: of any model, and of what an index answers.

The metrics are LightFM's (lightfm.evaluation): means over users with at least one positive.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best
from trainer.evaluation.of_lightfm import MAX_USERS
from trainer.evaluation.top_items import K, sample, scores_of
from trainer.fitting.embeddings import Embeddings


def evaluate_vectors(
    embeddings: Embeddings,
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int = 42,
) -> dict[str, float]:
    """precision@10 and AUC on held-out items, by exact scoring.

    Args:
        embeddings: of n items and m users.
        seen: for each user the rows of seen items, ascending.
        held_out: for each user the rows of the positives, ascending.
        seed: of the users that are drawn when there are more than MAX_USERS.

    Returns:
        `test_precision_at_10`, `test_auc`: among all items. The same with `_unseen`: among those that
        the user hasn't seen. AUC is missing when no user has both a positive and another item.
        `evaluated_users`: the number of users.
    """
    chosen = with_positives(held_out, seed=seed)
    found: dict[str, list[float]] = {}
    every_score = scores_of(embeddings.item_vectors, embeddings.user_vectors[chosen])
    for row, scores in zip(chosen.tolist(), every_score, strict=True):
        positives = held_out[row]
        for suffix, excluded in (("", None), ("_unseen", seen[row])):
            if excluded is not None:
                scores[excluded] = -np.inf
            hits = np.isin(best(scores, K), positives, assume_unique=True)
            found.setdefault(f"test_precision_at_10{suffix}", []).append(hits.sum() / K)
            auc = _auc(scores, positives, 0 if excluded is None else len(excluded))
            if auc is not None:
                found.setdefault(f"test_auc{suffix}", []).append(auc)
    metrics = {name: float(np.mean(values)) for name, values in found.items()}
    return {**metrics, "evaluated_users": float(len(chosen))}


def with_positives(held_out: Ragged, *, seed: int = 42) -> NDArray[np.int64]:
    """Rows of the users with at least one held-out item, ascending; of many, MAX_USERS drawn."""
    rows: NDArray[np.int64] = np.flatnonzero(np.diff(held_out.offsets))
    return rows[sample(len(rows), MAX_USERS, seed=seed)]


def precision_at_10(answers: Iterator[tuple[int, NDArray[np.int64]]], held_out: Ragged) -> float:
    """Mean share of held-out items among ten answers; `answers` are user rows and item rows."""
    shares = [len(np.intersect1d(rows[:K], held_out[user])) / K for user, rows in answers]
    return float(np.mean(shares)) if shares else 0.0


def _auc(scores: Float32Array, positives: NDArray[np.int32], excluded: int) -> float | None:
    """Share of pairs of a positive and another item, of those not excluded, in the right order."""
    negatives = len(scores) - len(positives) - excluded
    if negatives <= 0:
        return None
    order = np.sort(scores)
    own = np.sort(scores[positives])
    # How many score less, without the excluded ones at the bottom and the positives among them.
    below = order.searchsorted(own) - excluded - np.arange(len(own))
    return float(np.clip(below, 0, negatives).mean() / negatives)
