"""Evaluate rankings by vectors alone, for any model, and the answers of an index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import IndexCosts
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, user_queries
from trainer.evaluation.evaluation import K, measure_top
from trainer.evaluation.held_out_test import HeldOutTest
from trainer.evaluation.metric_rows import USERS
from trainer.fitting.scores import VectorScores
from trainer.index.exact import sample
from trainer.index.tuning import TunedIndex
from trainer.preparing.dataset import seen_popularity

if TYPE_CHECKING:
    # The command line imports this module, and LightFM may be missing there.
    from trainer.fitting.embeddings import Embeddings

# The limit for users whose answers are found as by a retriever.
MAX_SERVED_USERS = 1000
# All items are scored for each user, so a large catalogue is measured with fewer users.
_MAX_SCORES = 150_000_000
_MIN_USERS = 100


def scores_of(embeddings: Embeddings) -> VectorScores:
    """Return the scores of all users by their vectors."""
    return VectorScores(embeddings.item_vectors, embeddings.user_vectors)


def precision_at_10(answers: Iterator[tuple[int, NDArray[np.int64]]], held_out: Ragged) -> float:
    """Return the mean share of held-out items in ten answers; `answers` are user and item rows."""
    shares = [len(np.intersect1d(rows[:K], held_out[user])) / K for user, rows in answers]
    return float(np.mean(shares)) if shares else 0.0


def evaluate_served(
    tuned: TunedIndex,
    embeddings: Embeddings,
    ranks: NDArray[np.int32],
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int,
) -> dict[str, float]:
    """Measure the answers that a retriever gives, and exact search for the same users.

    Other metrics score all items and ignore the index. Here users with held-out positives get the
    default answers of a retriever: from the index, or by scoring all items if that is faster or the
    index finds too few. Seen items are left out, and ties go by `ranks` (items,). The seed draws a
    sample of at most MAX_SERVED_USERS, smaller for a large catalogue. `tuned` is the index `recommend`
    over the rows of `embeddings`; `seen` and `held_out` are those of HeldOutTest.

    Returns:
        `test_MEASURE_at_10_served`, `test_MEASURE_at_10_exact`: for the measures at 10 of
        evaluation.evaluate, over the same users. `served_users`: their number. Empty if no user has a
        positive.
    """
    # Imported here, since the command line needs only other names of this module.
    from threadpoolctl import threadpool_limits

    users = np.flatnonzero(np.diff(held_out.offsets))
    items = len(embeddings.item_vectors)
    most = min(MAX_SERVED_USERS, max(_MIN_USERS, _MAX_SCORES // items))
    users = users[sample(len(users), most, seed=seed)]
    if not len(users):
        return {}
    exact, served = (np.full((len(users), K), -1, dtype=np.int64) for _ in range(2))
    # A worker answers a request on one thread. All numbers are finite, but SIMD code may flag bytes
    # behind the last number, and NumPy would warn.
    with threadpool_limits(1), np.errstate(invalid="ignore"):
        for place, user in enumerate(users.tolist()):
            query, excluded = user_queries(embeddings.user_vectors[user]), seen[user]
            scores: Float32Array = embeddings.item_vectors @ query
            scores[excluded] = -np.inf
            best_ones = best(scores, min(K, items - len(excluded)), ranks)
            found = _by_index(tuned, embeddings.item_vectors, query, excluded, ranks)
            exact[place, : len(best_ones)] = best_ones
            answer = best_ones if found is None else found
            served[place, : len(answer)] = answer
    test = HeldOutTest(seen=seen, held_out=held_out, popularity=seen_popularity(seen, items))
    metrics = {
        f"test_{name}_at_{K}_{kind}": value
        for kind, top in (("served", served), ("exact", exact))
        for name, value in measure_top(top, users, test, seed=seed).items()
    }
    return {**metrics, USERS: float(len(users))}


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
