"""What a request's effort does to the search beneath."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import faiss
import nmslib
import numpy as np
import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.search_effort import candidates_for
from retriever.index import annoy as annoy_index
from retriever.index import faiss as faiss_index
from retriever.index import nmslib as nmslib_index
from tests.unit.retriever.index import asking
from tests.unit.retriever.index.asking import filed, names

FACTORS = [0.1, 0.3, 1.0, 3.0, 10.0, 100.0]
QUERY = np.ones(16, dtype=np.float32)


@names
@filed
def test_more_effort_finds_more_of_the_true_ten(tmp_path, backend, name):
    # A poor graph, or NMSLIB's least effort would find everything.
    build = {"M": 5, "efConstruction": 20} if backend == "nmslib" else {}
    of = asking.built(tmp_path, name, backend, build=build, users=200)
    index = of.at({"annoy": 100, "faiss": 4, "nmslib": 10}[backend])
    count = candidates_for(10, index.candidates, 0)
    recalls = [
        of.recall(lambda query, factor=factor: index.search(query, count, factor)) for factor in FACTORS
    ]
    for less, more in itertools.pairwise(recalls):
        # One item of a thousand may be lost among codes of eight bits.
        assert more >= less - 0.001
    assert recalls[-1] >= 0.99
    assert recalls[0] < recalls[-1] - 0.01


@pytest.fixture
def searched(monkeypatch):
    """What the libraries are told to look at, search by search."""
    told = []

    class Annoy(AnnoyIndex):
        def get_nns_by_vector(self, vector, n, search_k):
            told.append(search_k)
            return super().get_nns_by_vector(vector, n, search_k)

    class Nmslib:
        def __init__(self, index):
            self._index = index
            self.loadIndex = index.loadIndex

        def setQueryTimeParams(self, parameters):  # noqa: N802
            self._ef = parameters["efSearch"]
            self._index.setQueryTimeParams(parameters)

        def knnQuery(self, query, k):  # noqa: N802
            told.append(self._ef)
            return self._index.knnQuery(query, k=k)

    parameters_of = faiss.SearchParametersIVF

    def make_parameters(nprobe):
        told.append(nprobe)
        return parameters_of(nprobe=nprobe)

    monkeypatch.setattr(annoy_index, "AnnoyIndex", Annoy)
    # Of the retriever alone: the trainer builds with it.
    here = SimpleNamespace(init=lambda **how: Nmslib(nmslib.init(**how)))
    monkeypatch.setattr(nmslib_index, "nmslib", here)
    monkeypatch.setattr(faiss_index.faiss, "SearchParametersIVF", make_parameters)
    return told


# For each: its parameters, a count, an effort, and what is to be looked at. Of 1000 items an Annoy
# index has 10 trees, a FAISS index 125 lists, of eight items each.
TOLD = [
    ("annoy", {"search_k": 500, "candidates": 10}, 10, 1.0, 500),
    ("annoy", {"search_k": 500, "candidates": 10}, 10, 0.1, 50),
    ("annoy", {"search_k": 500, "candidates": 10}, 10, 100.0, 50_000),
    ("annoy", {"search_k": 500, "candidates": 10}, 1, 1.0, 500),
    ("annoy", {"search_k": 500, "candidates": 10}, 110, 1.0, 1500),
    ("annoy", {"search_k": 500, "candidates": 10}, 110, 0.1, 150),
    ("annoy", {"search_k": 1, "candidates": 10}, 10, 0.1, 1),
    ("annoy", {"search_k": 0, "candidates": 10}, 10, 1.0, 1),
    ("annoy", {"search_k": 2**31 - 1, "candidates": 10}, 10, 100.0, 2**31 - 1),
    ("faiss", {"probes": 20, "candidates": 30}, 30, 1.0, 20),
    ("faiss", {"probes": 20, "candidates": 30}, 30, 0.1, 2),
    ("faiss", {"probes": 20, "candidates": 30}, 30, 0.01, 1),
    ("faiss", {"probes": 20, "candidates": 30}, 30, 100.0, 125),
    ("faiss", {"probes": 20, "candidates": 30}, 110, 1.0, 30),
    ("faiss", {"probes": 20, "candidates": 30}, 110, 2.0, 60),
    ("faiss", {"probes": 2**31 - 1, "candidates": 30}, 10, 1.0, 125),
    ("nmslib", {"ef": 40, "candidates": 10}, 10, 1.0, 40),
    ("nmslib", {"ef": 40, "candidates": 10}, 10, 10.0, 400),
    ("nmslib", {"ef": 200, "candidates": 10}, 10, 0.1, 20),
    ("nmslib", {"ef": 40, "candidates": 10}, 110, 1.0, 140),
    # It finds no more than it has in its queue.
    ("nmslib", {"ef": 40, "candidates": 10}, 10, 0.1, 10),
    ("nmslib", {"ef": 40, "candidates": 10}, 110, 0.1, 110),
]


@pytest.mark.parametrize(("backend", "parameters", "count", "effort", "expected"), TOLD)
def test_the_library_looks_at_as_much_as_was_asked_for(
    tmp_path, searched, backend, parameters, count, effort, expected
):
    index = asking.built(tmp_path, layout.SIMILAR, backend).opened(parameters)
    searched.clear()
    index.search(QUERY, count, effort)
    assert searched == [expected]


def test_nmslib_is_told_of_every_change_of_its_effort(tmp_path, searched):
    """Two requests of other efforts, one after the other: neither is answered with the other's."""
    index = asking.built(tmp_path, layout.SIMILAR, "nmslib").opened({"ef": 20, "candidates": 10})
    for effort in (1.0, 1.0, 5.0, 1.0):
        index.search(QUERY, 10, effort)
    assert searched == [20, 20, 100, 20]
