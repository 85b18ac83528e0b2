"""Score items exactly by their vectors."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.vectors.vector_space import Float32Array, row_norms, unit_rows


@dataclass(frozen=True)
class Scorer:
    """Score some or all items exactly. The time grows with the number of items.

    Attributes:
        vectors: (n, d).
        cosine: whether to score by cosine instead of inner product.
        norms: (n,) norms of the vectors, for cosines; None to compute them for each search.
    """

    vectors: Float32Array
    _: KW_ONLY
    cosine: bool = False
    norms: Float32Array | None = None

    def scores(self, query: Float32Array, rows: NDArray[np.integer] | None = None) -> Float32Array:
        """Return the inner products or cosines of some or all rows with a query (d,)."""
        vectors = self.vectors if rows is None else self.vectors[rows]
        if not self.cosine:
            products: Float32Array = vectors @ query
            return products
        if self.norms is None:
            norms = row_norms(vectors)
        else:
            norms = self.norms if rows is None else self.norms[rows]
        # Divide by the norm of the query first, since float32 may not hold the product of two norms.
        # In float64, because the square of the norm may overflow or underflow in float32.
        exact = query.astype(np.float64)
        cosines = vectors @ (exact / math.sqrt(exact @ exact)).astype(np.float32)
        cosines /= norms
        # Rounding may exceed the range [-1, 1].
        return cosines.clip(-1, 1, out=cosines)

    def scores_for(self, queries: Float32Array) -> Float32Array:
        """Return the inner products or cosines (q, n) of all items with queries (q, d)."""
        if not self.cosine:
            products: Float32Array = queries @ self.vectors.T
            return products
        norms = row_norms(self.vectors) if self.norms is None else self.norms
        cosines = unit_rows(queries) @ self.vectors.T
        cosines /= norms
        return cosines.clip(-1, 1, out=cosines)
