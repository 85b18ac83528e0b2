"""What users get: each one's best items by exact scoring, without those that are excluded.

A module of its own, since the command line reads of it before LightFM may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, user_queries
from trainer.index.exact import score_chunks

K = 10


def top_items(
    item_vectors: Float32Array, user_vectors: Float32Array, excluded: Sequence[NDArray[np.integer]]
) -> Iterator[NDArray[np.int64]]:
    """The rows of each user's best K items by exact scoring, best first, equal ones by row.

    Args:
        item_vectors: (items, components + 1), embedding then bias.
        user_vectors: (users, components + 1), the same.
        excluded: for each of these users the rows of items to leave out.

    Returns:
        For each user K rows, or fewer when fewer items are left.
    """
    for scores, left_out in zip(scores_of(item_vectors, user_vectors), excluded, strict=True):
        scores[left_out] = -np.inf
        top = best(scores, K)
        yield top[np.isfinite(scores[top])]


def sample(count: int, most: int, *, seed: int) -> NDArray[np.int64]:
    """Ascending positions below `count`: all of them, of many so many drawn."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def scores_of(item_vectors: Float32Array, user_vectors: Float32Array) -> Iterator[Float32Array]:
    """Yield each user's scores (items,), float32, a fresh array each."""
    for _, scores in score_chunks(user_queries(user_vectors), item_vectors):
        yield from scores
