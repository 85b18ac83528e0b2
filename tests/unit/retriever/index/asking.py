"""Indexes to ask."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.vectors.vector_space import split_biases, user_queries
from retriever.index import open_index
from tests import retrievable
from trainer.index.measure import query_settings

FILED = ("annoy", "faiss", "nmslib")
"""The backends whose indexes are files, beside exact search, which has none."""

NAMES = (layout.SIMILAR, layout.RECOMMEND)

names = pytest.mark.parametrize("name", NAMES)
backends = pytest.mark.parametrize("backend", ["exact", *FILED])
filed = pytest.mark.parametrize("backend", FILED)


class Built:
    """One index as the trainer built it, over numbers that are always the same, and 60 queries."""

    def __init__(self, directory, name, backend, *, build=None, items=1000):
        random = np.random.default_rng(5)
        # Uneven norms, as popularity makes them: without these the transform would be of no effect.
        lengths = random.lognormal(sigma=0.4, size=(items, 1))
        vectors = (random.normal(size=(items, 17)) * lengths).astype(np.float32)
        users = random.normal(size=(60, 17)).astype(np.float32)
        similar = name == layout.SIMILAR
        self.queries = split_biases(vectors)[0][:60] if similar else user_queries(users)
        directory.mkdir(exist_ok=True)
        self.path = directory / layout.index_file(name, backend)
        self.index = retrievable.build_index(name, vectors, self.path, backend=backend, build=build)
        of_file = {"items": items, "file": self.path.name}
        self._facts = partial(retrievable.index_facts, self.index, backend, **of_file)
        self._name = name

    def opened(self, query):
        """The retriever's, with the query parameters that a manifest may carry."""
        manifest = SimpleNamespace(components=16, indexes={self._name: self._facts(query=query)})
        # As much of a publication as opening an index needs.
        return open_index(SimpleNamespace(directory=self.path.parent, manifest=manifest), self._name)

    def at(self, effort):
        """The retriever's, tuned to an effort."""
        return self.opened(query_settings(self.index, effort))
