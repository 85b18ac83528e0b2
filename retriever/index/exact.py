"""Exact search: scores the mapped vectors of all items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from publication import layout
from publication.manifest import IndexFacts
from publication.ranking import best, row_norms
from publication.reader import Publication
from publication.vector_space import Float32Array, split_biases
from retriever.index.protocol import SearchIndex, check_facts


def open_index(
    publication: Publication,
    name: str,
    facts: IndexFacts,
    path: Path,  # noqa: ARG001 - the same for all backends; this one has no file
) -> SearchIndex:
    """An index without a file."""
    components = publication.manifest.components
    if name == layout.RECOMMEND:
        check_facts(name, facts, metric="inner_product", dimensions=components + 1)
    else:
        check_facts(name, facts, metric="cosine", dimensions=components)
    return exact_index(publication, name)


def exact_index(publication: Publication, name: str) -> ExactIndex:
    """Exact search over a publication's vectors, whichever index it was published with."""
    if name == layout.RECOMMEND:
        return ExactIndex(publication.item_vectors)
    embeddings = split_biases(publication.item_vectors)[0]
    return ExactIndex(embeddings, cosine=True, norms=publication.item_norms)


class ExactIndex:
    """Scores all items at each search: no memory of its own, time grows with the catalogue.

    Args:
        vectors: (n, d).
        cosine: whether to rank by cosine instead of inner product.
        norms: (n,) of the vectors, for cosines; None to work them out at each search.
    """

    candidates = 0

    def __init__(
        self, vectors: Float32Array, *, cosine: bool = False, norms: Float32Array | None = None
    ) -> None:
        self._vectors = vectors
        self._cosine = cosine
        self._norms = norms

    def search(
        self,
        query: Float32Array,
        count: int,
        effort: float = 1.0,  # noqa: ARG002 - it always looks at everything
    ) -> NDArray[np.int64]:
        """See SearchIndex; best first."""
        scores = self._vectors @ query
        if self._cosine:
            # The query's own norm is the same for all, so it doesn't change the order.
            scores /= row_norms(self._vectors) if self._norms is None else self._norms
        return best(scores, count)
