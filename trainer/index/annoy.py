"""Build Annoy indexes: forests of random projection trees in a file that processes share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors.vector_space import Float32Array, augment_queries
from trainer.errors import OptionError
from trainer.index.protocol import TREES, BuiltIndex, Effort, Indexed, IndexTask, Settings, Space

# Metric `dot` of Annoy 1.17.3 is wrong, so inner products are searched by angle.
_METRIC: Final = "angular"
_CHUNK = 1024
_CANDIDATES = 10
# From this number of items on, building more trees takes noticeable time.
_MANY_ITEMS = 200_000


class AnnoyBackend:
    """Builds Annoy indexes in memory and saves them: on a full disk, building there dies by SIGBUS."""

    name = "annoy"
    distribution = "annoy"

    def __init__(self, *, trees: int | None = None) -> None:
        if trees is not None:
            TREES.check("--trees", trees, OptionError)
        self._trees = trees

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:  # noqa: ARG002
        """See Backend."""
        if self._trees is not None:
            return [[{"trees": self._trees}]]
        if items > _MANY_ITEMS:
            return [[{"trees": 10}], [{"trees": 30}]]
        return [[{"trees": 10}], [{"trees": 30}], [{"trees": 100}]]

    def build(self, task: IndexTask) -> BuiltIndex:
        """See Backend."""
        trees, augment = int(task.settings["trees"] or 0), task.space == "inner_product"
        indexed = Indexed(task.vectors, augment=augment)
        count, dimensions = len(task.vectors), indexed.dimensions
        index = AnnoyIndex(dimensions, _METRIC)
        index.set_seed(task.seed)
        # Reserve room for all items first: growing item by item may take a third more.
        index.add_item(count - 1, [0.0] * dimensions)
        for rows in row_chunks(count, _CHUNK):
            # Annoy reads a list of floats several times faster than an array.
            for row, vector in enumerate(indexed[rows].tolist(), rows.start):
                index.add_item(row, vector)
            task.on_items(rows.stop - rows.start)
        index.build(trees, task.threads)
        index.save(str(task.path))
        return BuiltIndex(
            metric=_METRIC,
            dimensions=dimensions,
            build={"trees": trees},
            candidates=_CANDIDATES,
            # Each tree can hold each item once.
            effort=Effort("search_k", least=min(100, count), most=max(100, count * trees)),
            has_file=True,
            index=_SavedIndex(task.path, dimensions, count, augment=augment),
        )


class _SavedIndex:
    """The saved file, opened again; raises VectorError if it is incomplete."""

    def __init__(self, path: Path, dimensions: int, items: int, *, augment: bool) -> None:
        index = AnnoyIndex(dimensions, _METRIC)
        index.load(str(path))
        if index.get_n_items() != items:
            raise VectorError(f"{path}: holds {index.get_n_items()} items after saving {items}")
        self._index = index
        self._trees = index.get_n_trees()
        self._augment = augment

    def search(
        self, query: Float32Array, count: int, effort: int, relative: float = 1.0
    ) -> NDArray[np.int64]:
        if self._augment:
            query = augment_queries(query)
        # As by Annoy's default, each further neighbour inspects one more node in each tree.
        search_k = scaled(
            effort, count=count, candidates=_CANDIDATES, per_candidate=self._trees, effort=relative
        )
        return np.array(self._index.get_nns_by_vector(query.tolist(), count, search_k), dtype=np.int64)
