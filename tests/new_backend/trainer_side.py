"""What would be trainer/index/sorted.py."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.index.protocol import BuiltIndex, Effort, IndexTask, Settings, Space

CANDIDATES = 10


class SortedBackend:
    """Builds and saves the order."""

    name = "sorted"
    distribution: str | None = None

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:
        return [[{}]]

    def build(self, task: IndexTask) -> BuiltIndex:
        order = np.argsort(task.vectors[:, 0], kind="stable")
        with task.path.open("xb") as file:
            np.save(file, order)
        task.on_items(len(task.vectors))
        return BuiltIndex(
            metric=task.space,
            dimensions=task.vectors.shape[1],
            build={},
            candidates=CANDIDATES,
            effort=Effort("window", least=10, most=len(task.vectors)),
            has_file=True,
            index=_SavedIndex(np.load(task.path, mmap_mode="r"), task.vectors),
        )


class _SavedIndex:
    def __init__(self, order: NDArray[np.int64], vectors: Float32Array) -> None:
        self._order = order
        self._keys = vectors[order, 0]

    def search(
        self, query: Float32Array, count: int, effort: int, relative: float = 1.0
    ) -> NDArray[np.int64]:
        window = scaled(effort, count=count, candidates=CANDIDATES, per_candidate=1, effort=relative)
        middle = int(self._keys.searchsorted(query[0]))
        return np.array(self._order[max(0, middle - window) : middle + window])
