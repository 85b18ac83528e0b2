"""Indexes to ask, and what their answers should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.vectors.ranking import row_norms
from lightfm_retriever.publication.vectors.vector_space import Float32Array, split_biases, user_queries
from retriever.index import open_index
from retriever.index.protocol import SearchIndex
from tests import retrievable
from tests.unit.retriever.conftest import Published
from trainer.index.measure import query_settings
from trainer.index.protocol import BuiltIndex

BACKENDS = ("annoy", "exact", "faiss", "nmslib")
FILED = ("annoy", "faiss", "nmslib")
"""The backends whose indexes are files."""

NAMES = (layout.SIMILAR, layout.RECOMMEND)

names = pytest.mark.parametrize("name", NAMES)
backends = pytest.mark.parametrize("backend", BACKENDS)
filed = pytest.mark.parametrize("backend", FILED)


def opened(published: Published, name: str) -> SearchIndex:
    return open_index(published.open(), name)


def questions(
    item_vectors: Float32Array, user_vectors: Float32Array, name: str
) -> tuple[Float32Array, NDArray[np.float64]]:
    """Queries, and for each of them what every item is worth, in float64."""
    items = np.float64(item_vectors)
    if name == layout.RECOMMEND:
        queries = user_queries(user_vectors)
        return queries, np.float64(queries) @ items.T
    embeddings = items[:, :-1] / np.linalg.norm(items[:, :-1], axis=1, keepdims=True)
    return split_biases(item_vectors)[0], embeddings @ embeddings.T


def questions_of(publication: Publication, name: str) -> tuple[Float32Array, NDArray[np.float64]]:
    return questions(publication.item_vectors, publication.user_vectors, name)


@dataclass(frozen=True)
class Built:
    """One index as the trainer built it, and the retriever's view of it under any facts."""

    name: str
    backend: str
    index: BuiltIndex
    item_vectors: Float32Array
    user_vectors: Float32Array
    path: Path

    def queries(self) -> Float32Array:
        return self._questions()[0]

    def recall(self, search: Callable[[Float32Array], NDArray[np.int64]]) -> float:
        """The share of the true ten that are among what is found, on average."""
        queries, worth = self._questions()
        true = np.argsort(-worth, axis=1)[:, :10].tolist()
        found = [
            len({*top} & {*search(query).tolist()}) for query, top in zip(queries, true, strict=True)
        ]
        return float(np.mean(found)) / 10

    def _questions(self) -> tuple[Float32Array, NDArray[np.float64]]:
        queries, worth = questions(self.item_vectors, self.user_vectors, self.name)
        return queries[: len(self.user_vectors)], worth[: len(self.user_vectors)]

    def opened(self, query: Mapping[str, Any] | None = None) -> SearchIndex:
        """The retriever's, with the query parameters that a manifest may carry."""
        facts = retrievable.index_facts(
            self.index,
            self.backend,
            items=len(self.item_vectors),
            file=self.path.name,
            query=None if query is None else dict(query),
        )
        return open_index(self._publication(facts), self.name)

    def at(self, effort: int) -> SearchIndex:
        """The retriever's, tuned to an effort."""
        return self.opened(query_settings(self.index, effort))

    def _publication(self, facts: IndexFacts) -> Publication:
        """As much of one as opening an index needs."""
        return cast(
            "Publication",
            SimpleNamespace(
                directory=self.path.parent,
                item_vectors=self.item_vectors,
                item_norms=row_norms(split_biases(self.item_vectors)[0]),
                manifest=SimpleNamespace(
                    components=self.item_vectors.shape[1] - 1, indexes={self.name: facts}
                ),
            ),
        )


def built(
    directory: Path,
    name: str,
    backend: str,
    *,
    build: Mapping[str, Any] | None = None,
    items: int = 1000,
    users: int = 60,
    components: int = 16,
    scale: float = 1.0,
) -> Built:
    """Build one over numbers that are always the same."""
    random = np.random.default_rng(5)
    # Uneven norms, as popularity makes them: without these the transform would be of no effect.
    lengths = random.lognormal(sigma=0.4, size=(items, 1)) * scale
    item_vectors = (random.normal(size=(items, components + 1)) * lengths).astype(np.float32)
    user_vectors = random.normal(size=(users, components + 1)).astype(np.float32)
    directory.mkdir(exist_ok=True)
    path = directory / layout.index_file(name, backend)
    index = retrievable.build_index(name, item_vectors, path, backend=backend, build=dict(build or {}))
    return Built(name, backend, index, item_vectors, user_vectors, path)
