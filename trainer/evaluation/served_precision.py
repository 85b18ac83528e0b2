"""precision@10 of the very answers that a retriever gives, beside those of exact search.

Other metrics score all items, whatever the index finds. Here users are answered as a retriever answers
them by default: by the index or, where that takes less time or the index gives too few, by scoring all;
without what they have seen, equal scores by item id.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lightfm_retriever.publication.search_effort import IndexCosts
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from lightfm_retriever.publication.vectors.ranking import best
from lightfm_retriever.publication.vectors.vector_space import Float32Array, user_queries
from trainer.evaluation.metric_rows import EXACT, SERVED, USERS
from trainer.evaluation.of_vectors import precision_at_10
from trainer.evaluation.top_items import K, sample
from trainer.fitting.embeddings import Embeddings
from trainer.index.tuning import TunedIndex

MAX_USERS = 1000
# All items are scored for each user, so of a large catalogue's users fewer are asked for.
_MAX_SCORES = 150_000_000
_MIN_USERS = 100


def served_precision(
    tuned: TunedIndex,
    embeddings: Embeddings,
    ranks: NDArray[np.int32],
    *,
    seen: Ragged,
    held_out: Ragged,
    seed: int,
) -> dict[str, float]:
    """Ask for users with held-out positives as a retriever is asked.

    Args:
        tuned: the index `recommend`, which has its file.
        embeddings: of the publication, whose rows the index has.
        ranks: (items,) what orders items of equal scores.
        seen: for each user the rows of seen items, ascending.
        held_out: for each user the rows of the positives, ascending.
        seed: of the users that are drawn: of many MAX_USERS, of a large catalogue's fewer.

    Returns:
        `test_precision_at_10_served`, `test_precision_at_10_exact`: means over the same users, with
        seen items left out. `served_users`: their number. Nothing when nobody has a positive.
    """
    users = np.flatnonzero(np.diff(held_out.offsets))
    items = len(embeddings.item_vectors)
    most = min(MAX_USERS, max(_MIN_USERS, _MAX_SCORES // items))
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
