"""FAISS: an inverted-file index (IVF) whose lists all workers map and share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import held_open
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.errors import SnapshotError
from retriever.index.protocol import SearchIndex, check_content, check_facts, count_of, effort_of
from retriever.index.unloadable import unloadable

_METRIC: Final = "l2"


def open_index(publication: Publication, name: str, facts: IndexFacts, path: Path) -> SearchIndex:
    """Map the file."""
    augmented = name == layout.RECOMMEND
    components = publication.manifest.components
    check_facts(name, facts, metric=_METRIC, dimensions=components + 2 if augmented else components)
    probes = effort_of(name, facts, "probes")
    norm = facts.build.get("query_norm")
    if not isinstance(norm, float) or not 0 < norm < math.inf:
        raise SnapshotError(f"index {name!r}: build.query_norm is {norm!r}, but should be above 0")
    try:
        with held_open(path) as opened:
            index = faiss.read_index(opened, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except (OSError, RuntimeError) as error:
        raise unloadable("FAISS", path, error) from error
    if not isinstance(index, faiss.IndexIVF):
        raise InvalidPublicationError(path, "isn't an inverted-file index (IVF) of FAISS")
    check_content(
        path,
        ("items", facts.items, index.ntotal),
        ("dimensions", facts.dimensions, index.d),
        ("metric", faiss.METRIC_L2, index.metric_type),
    )
    # Starting threads that read ahead takes longer than searching lists that are in memory.
    faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
    candidates = count_of(name, facts, "candidates", 0)
    # The share of a list in one candidate: more candidates need more lists in proportion.
    share = index.nlist / index.ntotal
    return _FaissIndex(index, index.nlist, augmented, candidates, probes, share, np.float32(norm))


@dataclass(eq=False)
class _FaissIndex:
    """An index whose items have norm 1. Queries are scaled to the norm `query_norm`."""

    index: faiss.IndexIVF
    lists: int
    augmented: bool
    candidates: int
    probes: int
    per_candidate: float
    query_norm: np.float32

    def search(self, query: Float32Array, count: int, effort: float = 1.0) -> NDArray[np.int64]:
        if self.augmented:
            query = np.append(query, np.float32(0))
        query = query * (self.query_norm / np.sqrt(query @ query))
        probes = scaled(
            self.probes,
            count=count,
            candidates=self.candidates,
            per_candidate=self.per_candidate,
            effort=effort,
            most=self.lists,
        )
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        rows: NDArray[np.int64] = self.index.search(query[None, :], count, params=parameters)[1][0]
        # If the lists contain too few items, FAISS fills the rest with -1.
        return rows[rows >= 0]
