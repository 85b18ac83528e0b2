"""The order of results: by score, equal scores by the place of the item's id, or by row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors.vector_space import Float32Array, squared_norms


def best(
    scores: Float32Array, count: int, ties: NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """Positions (at most `count`) of the highest scores (n,), highest first.

    Equal ones come in the order of `ties` (n,), or by position.
    """
    if 0 < count < len(scores):
        # Everything above the count-th score is in; of those equal to it, the first ones.
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        chosen = np.flatnonzero(scores >= threshold)
    else:
        chosen = np.arange(len(scores))
    if ties is None:
        order: NDArray[np.int64] = chosen[np.argsort(-scores[chosen], kind="stable")[:count]]
    else:
        order = chosen[np.lexsort((ties[chosen], -scores[chosen]))[:count]]
    return order


def row_norms(vectors: Float32Array) -> Float32Array:
    """Euclidean norms (n,) of rows (n, d), float32."""
    norms = np.empty(len(vectors), dtype=np.float32)
    for rows in row_chunks(len(vectors)):
        norms[rows] = np.sqrt(squared_norms(vectors[rows]))
    return norms


def unit_rows(vectors: Float32Array) -> Float32Array:
    """Rows (n, d) divided by their norms, so that inner products are cosines; none may be zero."""
    result: Float32Array = vectors / row_norms(vectors)[:, None]
    return result
