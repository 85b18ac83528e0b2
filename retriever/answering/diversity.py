"""Diversify results by maximal marginal relevance (Carbonell & Goldstein 1998, SIGIR, section 2).

Results are chosen one after another. With diversity d, each is the candidate with the largest

    (1 - d) * relevance  -  d * the largest cosine to the results chosen before

Relevance is the score, scaled from 0 to 1 over the candidates, because LightFM's scores have no unit.
The cosine compares the embeddings of items. The first result is the one with the highest score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.vectors.vector_space import Float32Array, unit_rows


def pool_size(limit: int) -> int:
    """Return the number of candidates to choose `limit` results from."""
    return max(50, 4 * limit)


def diversify(
    scores: Float32Array, embeddings: Float32Array, count: int, diversity: float
) -> NDArray[np.int64]:
    """Return the positions of at most `count` candidates, in the order in which they are chosen.

    Of equal candidates, the first one is chosen.

    Args:
        scores: (n,), highest first.
        embeddings: (n, d), none zero.
        count: number of candidates to choose.
        diversity: in 0..1.
    """
    if not len(scores):
        return np.empty(0, dtype=np.int64)
    exact = scores.astype(np.float64)
    width = exact[0] - exact.min()
    relevance = (exact - exact.min()) / width if width else np.ones(len(exact))
    units = unit_rows(embeddings)
    chosen = [0]
    nearest = np.full(len(exact), -np.inf)
    left = np.ones(len(exact), dtype=bool)
    for _ in range(1, min(count, len(exact))):
        left[chosen[-1]] = False
        nearest = np.maximum(nearest, units @ units[chosen[-1]])
        value = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        chosen.append(int(value.argmax()))
    return np.array(chosen[:count], dtype=np.int64)
