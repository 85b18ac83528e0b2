"""Exact search: scores the mapped vectors of all items."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    best,
    row_norms,
    split_biases,
    unit_rows,
)
from retriever.index.protocol import SearchIndex, check_facts


def open_index(
    publication: Publication,
    name: str,
    facts: IndexFacts,
    path: Path,  # noqa: ARG001 - the same for all backends; this one has no file
) -> SearchIndex:
    """An index without a file."""
    components, recommend = publication.manifest.components, name == layout.RECOMMEND
    metric = "inner_product" if recommend else "cosine"
    check_facts(name, facts, metric=metric, dimensions=components + recommend)
    return exact_index(publication, name)


def exact_index(publication: Publication, name: str) -> ExactIndex:
    """Exact search over a publication's vectors, whichever index it was published with."""
    if name == layout.RECOMMEND:
        return ExactIndex(publication.item_vectors)
    embeddings = split_biases(publication.item_vectors)[0]
    return ExactIndex(embeddings, cosine=True, norms=publication.item_norms)


@dataclass(eq=False)
class ExactIndex:
    """Scores all items at each search: no memory of its own, time grows with the catalogue.

    Attributes:
        vectors: (n, d).
        cosine: whether to rank by cosine instead of inner product.
        norms: (n,) of the vectors, for cosines; None to work them out at each search.
    """

    vectors: Float32Array
    _: KW_ONLY
    cosine: bool = False
    norms: Float32Array | None = None
    candidates = 0

    def scores(self, query: Float32Array, rows: NDArray[np.integer] | None = None) -> Float32Array:
        """Inner products or cosines of some rows, or of all, with a query (d,)."""
        vectors = self.vectors if rows is None else self.vectors[rows]
        if not self.cosine:
            products: Float32Array = vectors @ query
            return products
        if self.norms is None:
            norms = row_norms(vectors)
        else:
            norms = self.norms if rows is None else self.norms[rows]
        # The query's norm first, since float32 may not hold the product of two. The square may be more
        # than it holds, or less.
        exact = query.astype(np.float64)
        cosines = vectors @ (exact / math.sqrt(exact @ exact)).astype(np.float32)
        cosines /= norms
        # Rounding may leave the range that is promised.
        return cosines.clip(-1, 1, out=cosines)

    def scores_for(self, queries: Float32Array) -> Float32Array:
        """Inner products or cosines (q, n) of all items with queries (q, d)."""
        if not self.cosine:
            products: Float32Array = queries @ self.vectors.T
            return products
        norms = row_norms(self.vectors) if self.norms is None else self.norms
        cosines = unit_rows(queries) @ self.vectors.T
        cosines /= norms
        return cosines.clip(-1, 1, out=cosines)

    def search(
        self,
        query: Float32Array,
        count: int,
        effort: float = 1.0,  # noqa: ARG002 - it always looks at everything
    ) -> NDArray[np.int64]:
        """See SearchIndex; best first."""
        return best(self.scores(query), count)
