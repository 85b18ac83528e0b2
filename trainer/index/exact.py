"""Search exactly by matrix products: the reference for all indexes, enough for small catalogues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, row_norms
from trainer.index.protocol import BuiltIndex, IndexTask, Settings, Space

_CHUNK_SCORES = 1 << 24


class ExactBackend:
    """Exact search, which needs no file: the retriever scores the mapped vectors."""

    name = "exact"
    distribution: str | None = None

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:  # noqa: ARG002
        """See Backend: there is nothing to choose."""
        return [[{}]]

    def build(self, task: IndexTask) -> BuiltIndex:
        """See Backend."""
        task.on_items(len(task.vectors))
        return BuiltIndex(
            metric=task.space,
            dimensions=task.vectors.shape[1],
            build={},
            candidates=0,
            effort=None,
            has_file=False,
            index=_ExactIndex(task.vectors, task.space),
        )


class _ExactIndex:
    def __init__(self, vectors: Float32Array, space: Space) -> None:
        self._vectors = vectors
        self._norms = row_norms(vectors) if space == "cosine" else None

    def search(
        self,
        query: Float32Array,
        count: int,
        effort: int,  # noqa: ARG002
        relative: float = 1.0,  # noqa: ARG002
    ) -> NDArray[np.int64]:
        scores = self._vectors @ query
        return best(scores if self._norms is None else scores / self._norms, count)


def sample(count: int, most: int, *, seed: int) -> NDArray[np.int64]:
    """Return ascending positions below `count`: all of them, or a sample of `most`."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def score_chunks(queries: Float32Array, vectors: Float32Array) -> Iterator[tuple[slice, Float32Array]]:
    """Yield inner products of queries (m, d) with all vectors (n, d), for some queries at a time."""
    step = max(1, _CHUNK_SCORES // max(1, len(vectors)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        # SIMD code may flag bytes behind the last number, and NumPy would warn.
        with np.errstate(invalid="ignore"):
            scores = queries[rows] @ vectors.T
        yield rows, scores
