"""Indexes to ask, and what their answers should be."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.vectors.vector_space import Float32Array, split_biases, user_queries
from retriever.index import open_index
from retriever.index.protocol import SearchIndex
from tests import retrievable
from tests.unit.retriever.conftest import Published
from trainer.index.measure import query_settings
from trainer.index.protocol import BuiltIndex

FILED = ("annoy", "faiss", "nmslib")
"""The backends whose indexes are files, beside exact search, which has none."""

NAMES = (layout.SIMILAR, layout.RECOMMEND)

names = pytest.mark.parametrize("name", NAMES)
backends = pytest.mark.parametrize("backend", ["exact", *FILED])
filed = pytest.mark.parametrize("backend", FILED)


def opened(published: Published, name: str) -> SearchIndex | None:
    return open_index(published.open(), name)


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
        """One for each user; of similar items those of the first ones."""
        if self.name == layout.RECOMMEND:
            return user_queries(self.user_vectors)
        return split_biases(self.item_vectors)[0][: len(self.user_vectors)]

    def opened(self, query: Mapping[str, Any] | None = None) -> SearchIndex:
        """The retriever's, with the query parameters that a manifest may carry."""
        facts = retrievable.index_facts(
            self.index,
            self.backend,
            items=len(self.item_vectors),
            file=self.path.name,
            query=None if query is None else dict(query),
        )
        manifest = SimpleNamespace(
            components=self.item_vectors.shape[1] - 1, indexes={self.name: facts}
        )
        # As much of a publication as opening an index needs.
        publication = SimpleNamespace(directory=self.path.parent, manifest=manifest)
        made = open_index(cast("Publication", publication), self.name)
        assert made is not None
        return made

    def at(self, effort: int) -> SearchIndex:
        """The retriever's, tuned to an effort."""
        return self.opened(query_settings(self.index, effort))


def built(
    directory: Path,
    name: str,
    backend: str,
    *,
    build: Mapping[str, Any] | None = None,
    items: int = 1000,
) -> Built:
    """Build one over numbers that are always the same."""
    random = np.random.default_rng(5)
    # Uneven norms, as popularity makes them: without these the transform would be of no effect.
    lengths = random.lognormal(sigma=0.4, size=(items, 1))
    item_vectors = (random.normal(size=(items, 17)) * lengths).astype(np.float32)
    user_vectors = random.normal(size=(60, 17)).astype(np.float32)
    directory.mkdir(exist_ok=True)
    path = directory / layout.index_file(name, backend)
    index = retrievable.build_index(name, item_vectors, path, backend=backend, build=dict(build or {}))
    return Built(name, backend, index, item_vectors, user_vectors, path)
