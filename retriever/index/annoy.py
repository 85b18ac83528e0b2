"""Annoy: an index in one file that all workers map and share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import held_open
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.search_effort import TUNED_FOR, scaled
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.index.protocol import SearchIndex, check_content, check_facts, count_of
from retriever.index.unloadable import check_mappable, unloadable

_METRIC: Final = "angular"


def open_index(publication: Publication, name: str, facts: IndexFacts, path: Path) -> SearchIndex:
    """Map the file. Annoy checks almost nothing itself, so this function checks everything first."""
    augmented = name == layout.RECOMMEND
    components = publication.manifest.components
    check_facts(name, facts, metric=_METRIC, dimensions=components + 2 if augmented else components)
    # Annoy crashes if there isn't enough memory for the map.
    check_mappable(path)
    index = AnnoyIndex(facts.dimensions, _METRIC)
    try:
        with held_open(path) as opened:
            index.load(opened)
    except OSError as error:
        raise unloadable("Annoy", path, error) from error
    check_content(path, ("items", facts.items, index.get_n_items()))
    candidates, trees = count_of(name, facts, "candidates", 0), index.get_n_trees()
    search_k = count_of(name, facts, "search_k", -1)
    if search_k < 0:
        # Annoy's default. Versions used it before the trainer tuned indexes.
        search_k = max(candidates, TUNED_FOR) * trees
    return _AnnoyIndex(index, trees, augmented, candidates, search_k)


@dataclass(eq=False)
class _AnnoyIndex:
    index: AnnoyIndex
    trees: int
    augmented: bool
    candidates: int
    search_k: int

    def search(self, query: Float32Array, count: int, effort: float = 1.0) -> NDArray[np.int64]:
        search_k = scaled(
            self.search_k,
            count=count,
            candidates=self.candidates,
            per_candidate=self.trees,
            effort=effort,
        )
        asked = query.tolist()
        if self.augmented:
            asked.append(0.0)
        rows = self.index.get_nns_by_vector(asked, count, search_k)
        return np.array(rows, dtype=np.int64)
