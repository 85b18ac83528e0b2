"""Evaluate rankings by vectors alone, for any model, and the answers of an index.

The metrics are defined as in lightfm.evaluation: means over users with at least one positive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import IndexCosts
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, user_queries
from trainer.evaluation.metric_rows import EXACT, SERVED, USERS
from trainer.index.exact import sample, score_chunks
from trainer.index.tuning import TunedIndex

if TYPE_CHECKING:
    # The command line imports this module, and LightFM may be missing there.
    from trainer.fitting.embeddings import Embeddings

K = 10
# Each evaluated user is scored against all items, so the number is limited.
MAX_USERS = 10_000
# The limit for users whose answers are found as by a retriever.
MAX_SERVED_USERS = 1000
# All items are scored for each user, so a large catalogue is measured with fewer users.
_MAX_SCORES = 150_000_000
_MIN_USERS = 100


def evaluate_vectors(
    embeddings: Embeddings,
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int = 42,
) -> dict[str, float]:
    """Compute precision@10 and AUC on held-out items, by exact scoring.

    `seen` and `held_out` have for each user the ascending rows of seen items and of positives. If there
    are more users than MAX_USERS, that many are drawn by the seed.

    Returns:
        `test_precision_at_10`, `test_auc`: among all items. The same with `_unseen`: without the items
        that the user has seen. AUC is missing if no user has both a positive and another item.
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
    """Return the ascending rows of users with a held-out item, or a sample of MAX_USERS."""
    rows: NDArray[np.int64] = np.flatnonzero(np.diff(held_out.offsets))
    return rows[sample(len(rows), MAX_USERS, seed=seed)]


def precision_at_10(answers: Iterator[tuple[int, NDArray[np.int64]]], held_out: Ragged) -> float:
    """Return the mean share of held-out items in ten answers; `answers` are user and item rows."""
    shares = [len(np.intersect1d(rows[:K], held_out[user])) / K for user, rows in answers]
    return float(np.mean(shares)) if shares else 0.0


def served_precision(
    tuned: TunedIndex,
    embeddings: Embeddings,
    ranks: NDArray[np.int32],
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int,
) -> dict[str, float]:
    """Compute precision@10 of the answers that a retriever gives, and of exact search.

    Other metrics score all items and ignore the index. Here users with held-out positives get the
    default answers of a retriever: from the index, or by scoring all items if that is faster or the
    index finds too few. Seen items are left out, and ties go by `ranks` (items,). The seed draws a
    sample of at most MAX_SERVED_USERS, smaller for a large catalogue. `tuned` is the index `recommend`
    over the rows of `embeddings`; the other arguments are those of evaluate_vectors.

    Returns:
        `test_precision_at_10_served`, `test_precision_at_10_exact`: means over the same users.
        `served_users`: their number. Empty if no user has a positive.
    """
    # Imported here, since the command line needs only other names of this module.
    from threadpoolctl import threadpool_limits

    users = np.flatnonzero(np.diff(held_out.offsets))
    items = len(embeddings.item_vectors)
    most = min(MAX_SERVED_USERS, max(_MIN_USERS, _MAX_SCORES // items))
    users = users[sample(len(users), most, seed=seed)]
    if not len(users):
        return {}
    answers: dict[str, list[tuple[int, NDArray[np.int64]]]] = {SERVED: [], EXACT: []}
    # A worker answers a request on one thread. All numbers are finite, but SIMD code may flag bytes
    # behind the last number, and NumPy would warn.
    with threadpool_limits(1), np.errstate(invalid="ignore"):
        for user in users.tolist():
            query, excluded = user_queries(embeddings.user_vectors[user]), seen[user]
            scores: Float32Array = embeddings.item_vectors @ query
            scores[excluded] = -np.inf
            exact = best(scores, min(K, items - len(excluded)), ranks)
            found = _by_index(tuned, embeddings.item_vectors, query, excluded, ranks)
            answers[EXACT].append((user, exact))
            answers[SERVED].append((user, exact if found is None else found))
    metrics = {name: precision_at_10(iter(own), held_out) for name, own in answers.items()}
    return {**metrics, USERS: float(len(users))}


def top_items(
    item_vectors: Float32Array, user_vectors: Float32Array, excluded: Sequence[NDArray[np.integer]]
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each user's best K items by exact scoring, best first, ties by row.

    Vectors are (n, components + 1), embedding then bias. The `excluded` items of a user are left out,
    so fewer than K rows may remain.
    """
    for scores, left_out in zip(scores_of(item_vectors, user_vectors), excluded, strict=True):
        scores[left_out] = -np.inf
        top = best(scores, K)
        yield top[np.isfinite(scores[top])]


def scores_of(item_vectors: Float32Array, user_vectors: Float32Array) -> Iterator[Float32Array]:
    """Yield each user's scores (items,), float32, a fresh array each."""
    for _, scores in score_chunks(user_queries(user_vectors), item_vectors):
        yield from scores


def _by_index(
    tuned: TunedIndex,
    vectors: Float32Array,
    query: Float32Array,
    excluded: NDArray[np.int32],
    ranks: NDArray[np.int32],
) -> NDArray[np.int64] | None:
    """Return the ten best candidates of the index; None if a retriever would score all items."""
    width = tuned.width(K, len(excluded))
    pays = IndexCosts().pay(width, items=len(vectors), most=len(vectors))
    if tuned.path is None or not pays:
        return None
    rows = tuned.search(query, limit=K, excluded=len(excluded))
    rows = rows[~are_among(rows, excluded)]
    scores = vectors[rows] @ query
    return rows[best(scores, K, ranks[rows])] if len(rows) >= K else None


def _auc(scores: Float32Array, positives: NDArray[np.int32], excluded: int) -> float | None:
    """Return the share of pairs of a positive and another item that are ranked in the right order.

    Excluded items have score -inf and don't count. None if there are no other items.
    """
    negatives = len(scores) - len(positives) - excluded
    if negatives <= 0:
        return None
    order = np.sort(scores)
    own = np.sort(scores[positives])
    # The number of negatives below each positive: subtract excluded items and lower positives.
    below = order.searchsorted(own) - excluded - np.arange(len(own))
    return float(np.clip(below, 0, negatives).mean() / negatives)
