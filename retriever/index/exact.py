"""Exact search: scores the mapped vectors of all items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from publication import layout
from publication.manifest import IndexFacts
from publication.ranking import best
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
        return ExactIndex(publication.item_vectors, cosine=False)
    return ExactIndex(split_biases(publication.item_vectors)[0], cosine=True)


class ExactIndex:
    """Scores all items at each search: no memory of its own, time grows with the catalogue."""

    candidates = 0

    def __init__(self, vectors: Float32Array, *, cosine: bool) -> None:
        self._vectors = vectors
        self._cosine = cosine

    def search(self, query: Float32Array, count: int) -> NDArray[np.int64]:
        """See SearchIndex; best first."""
        scores = self._vectors @ query
        if self._cosine:
            # The query's own norm is the same for all, so it doesn't change the order.
            scores /= np.sqrt(np.einsum("ij,ij->i", self._vectors, self._vectors))
        return best(scores, count)
