"""FAISS: an inverted file whose lists all workers map and share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import held_open
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.vectors.vector_space import Float32Array, augment_queries
from retriever.errors import SnapshotError
from retriever.index.protocol import SearchIndex, check_facts, check_has_file, count_of
from retriever.index.unloadable import unloadable

_METRIC: Final = "l2"


def open_index(publication: Publication, name: str, facts: IndexFacts, path: Path) -> SearchIndex:
    """Map the file."""
    augmented = name == layout.RECOMMEND
    components = publication.manifest.components
    check_facts(name, facts, metric=_METRIC, dimensions=components + 2 if augmented else components)
    check_has_file(name, facts, path)
    if (probes := count_of(name, facts, "probes", -1)) < 1:
        given = facts.query.get("probes")
        raise SnapshotError(f"index {name!r}: query.probes is {given}, but should be 1 or more")
    try:
        with held_open(path) as opened:
            index = faiss.read_index(opened, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except (OSError, RuntimeError) as error:
        raise unloadable("FAISS", path, error) from error
    if not isinstance(index, faiss.IndexIVF):
        raise InvalidPublicationError(path, "isn't an inverted file")
    for what, expected, found in (
        ("items", facts.items, index.ntotal),
        ("dimensions", facts.dimensions, index.d),
        ("metric", faiss.METRIC_L2, index.metric_type),
    ):
        if found != expected:
            raise MismatchError(path, what, expected=expected, found=found)
    # Starting threads to read ahead takes longer than the search of lists that are in memory.
    faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
    candidates = count_of(name, facts, "candidates", 0)
    return _FaissIndex(
        index,
        augmented=augmented,
        candidates=candidates,
        probes=probes,
        query_norm=_query_norm(name, facts),
    )


def _query_norm(name: str, facts: IndexFacts) -> float:
    """The norm that queries should have, beside items of norm 1."""
    value = facts.build.get("query_norm")
    if not isinstance(value, float) or not 0 < value < math.inf:
        raise SnapshotError(f"index {name!r}: build.query_norm is {value!r}, but should be above 0")
    return value


class _FaissIndex:
    def __init__(
        self,
        index: faiss.IndexIVF,
        *,
        augmented: bool,
        candidates: int,
        probes: int,
        query_norm: float,
    ) -> None:
        self._index = index
        self._query_norm = np.float32(query_norm)
        self._augmented = augmented
        self._probes = probes
        self._lists = index.nlist
        self._per_candidate = index.nlist / index.ntotal
        self.candidates = candidates

    def search(self, query: Float32Array, count: int, effort: float = 1.0) -> NDArray[np.int64]:
        query = augment_queries(query) if self._augmented else query
        query = query * (self._query_norm / np.sqrt(query @ query))
        probes = scaled(
            self._probes,
            count=count,
            candidates=self.candidates,
            # As many lists more as hold the candidates more.
            per_candidate=self._per_candidate,
            effort=effort,
            most=self._lists,
        )
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        rows: NDArray[np.int64] = self._index.search(query[None, :], count, params=parameters)[1][0]
        # Where the lists hold fewer than asked for, the rest is -1.
        return rows[rows >= 0]
