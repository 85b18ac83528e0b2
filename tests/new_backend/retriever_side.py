"""What would be retriever/index/sorted.py."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.index.protocol import SearchIndex, check_facts, count_of


def open_index(publication: Publication, name: str, facts: IndexFacts, path: Path) -> SearchIndex:
    """Map the order."""
    components = publication.manifest.components
    recommend = name == layout.RECOMMEND
    check_facts(
        name,
        facts,
        metric="inner_product" if recommend else "cosine",
        dimensions=components + 1 if recommend else components,
    )
    order = np.load(path, mmap_mode="r", allow_pickle=False)
    if order.shape != (facts.items,):
        raise InvalidPublicationError(path, f"has shape {order.shape}, not ({facts.items},)")
    return _SortedIndex(
        order,
        publication.item_vectors[:, 0],
        candidates=count_of(name, facts, "candidates", 0),
        window=count_of(name, facts, "window", 1),
    )


class _SortedIndex:
    def __init__(
        self, order: NDArray[np.int64], keys: Float32Array, *, candidates: int, window: int
    ) -> None:
        self._order = order
        self._keys = keys[order]
        self._window = window
        self.candidates = candidates

    def search(self, query: Float32Array, count: int, effort: float = 1.0) -> NDArray[np.int64]:
        window = scaled(
            self._window, count=count, candidates=self.candidates, per_candidate=1, effort=effort
        )
        middle = int(self._keys.searchsorted(query[0]))
        return np.array(self._order[max(0, middle - window) : middle + window])
