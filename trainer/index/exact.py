"""Exact search by matrix products: the reference for all others, and enough for small catalogues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from publication.ranking import best, unit_rows
from publication.vector_space import Float32Array
from trainer.index.protocol import BuiltIndex, Space

_CHUNK_SCORES = 1 << 24


class ExactBackend:
    """No file: the retriever scores the mapped vectors themselves."""

    def build(
        self,
        vectors: Float32Array,
        space: Space,
        path_of: Callable[[str], Path],  # noqa: ARG002 - the protocol's
        *,
        seed: int,  # noqa: ARG002
        threads: int,  # noqa: ARG002
        on_items: Callable[[int], None],
    ) -> BuiltIndex:
        """See Backend."""
        on_items(len(vectors))
        return BuiltIndex(
            backend="exact",
            metric=space,
            dimensions=vectors.shape[1],
            file=None,
            build={},
            query={},
            index=_ExactIndex(vectors, space),
            candidates=0,
        )


class _ExactIndex:
    def __init__(self, vectors: Float32Array, space: Space) -> None:
        self._vectors = unit_rows(vectors) if space == "cosine" else vectors

    def search(self, query: Float32Array, count: int) -> NDArray[np.int64]:
        return best(self._vectors @ query, count)


def score_chunks(queries: Float32Array, vectors: Float32Array) -> Iterator[tuple[slice, Float32Array]]:
    """Inner products of all queries (m, d) with all vectors (n, d), some queries at a time."""
    step = max(1, _CHUNK_SCORES // max(1, len(vectors)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        yield rows, queries[rows] @ vectors.T
