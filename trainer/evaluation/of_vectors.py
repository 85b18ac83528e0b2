"""Quality of rankings by vectors alone: of any model, and of what an index answers.

The metrics are LightFM's (lightfm.evaluation): means over users with at least one positive.
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
    # The command line reads of this before LightFM may be missing.
    from trainer.fitting.embeddings import Embeddings

K = 10
# Every evaluated user is scored against every item, so there is a limit.
MAX_USERS = 10_000
# Those who are asked for as a retriever is asked.
MAX_SERVED_USERS = 1000
# All items are scored for each user, so of a large catalogue's users fewer are asked for.
_MAX_SCORES = 150_000_000
_MIN_USERS = 100


def evaluate_vectors(
    embeddings: Embeddings,
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int = 42,
) -> dict[str, float]:
    """precision@10 and AUC on held-out items, by exact scoring.

    `seen` and `held_out` are for each user the rows of seen items and of the positives, ascending. Of
    more users than MAX_USERS so many are drawn, by the seed.

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


def served_precision(
    tuned: TunedIndex,
    embeddings: Embeddings,
    ranks: NDArray[np.int32],
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int,
) -> dict[str, float]:
    """precision@10 of the very answers that a retriever gives, beside those of exact search.

    Other metrics score all items, whatever the index finds. Here users with held-out positives are
    answered as a retriever answers them by default: by the index or, where that takes less time or the
    index gives too few, by scoring all; without what they have seen, equal scores by `ranks` (items,).
    Of many users MAX_SERVED_USERS are drawn by the seed, of a large catalogue's fewer. `tuned` is the
    index `recommend`, of the rows of `embeddings`; the other arguments are those of evaluate_vectors.

    Returns:
        `test_precision_at_10_served`, `test_precision_at_10_exact`: means over the same users, with
        seen items left out. `served_users`: their number. Nothing when nobody has a positive.
    """
    # Here, since the command line needs other names of this module only.
    from threadpoolctl import threadpool_limits

    users = np.flatnonzero(np.diff(held_out.offsets))
    items = len(embeddings.item_vectors)
    most = min(MAX_SERVED_USERS, max(_MIN_USERS, _MAX_SCORES // items))
    users = users[sample(len(users), most, seed=seed)]
    if not len(users):
        return {}
    answers: dict[str, list[tuple[int, NDArray[np.int64]]]] = {SERVED: [], EXACT: []}
    # A worker answers a request on one thread. All numbers are finite, but the product's SIMD code may
    # flag what lies behind the last one, and NumPy would warn of that.
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
    """Yield the rows of each user's best K items by exact scoring, best first, equal ones by row.

    Vectors are (n, components + 1), embedding then bias. The items `excluded` for a user are left out;
    where fewer than K others are left, so are the rows.
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
    """The ten best of what the index proposes; None where a retriever would score all items."""
    width = tuned.width(K, len(excluded))
    pays = IndexCosts().pay(width, items=len(vectors), most=len(vectors))
    if tuned.path is None or not pays:
        return None
    rows = tuned.search(query, limit=K, excluded=len(excluded))
    rows = rows[~are_among(rows, excluded)]
    scores = vectors[rows] @ query
    return rows[best(scores, K, ranks[rows])] if len(rows) >= K else None


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
