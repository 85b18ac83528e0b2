"""FAISS: an inverted file of scalar-quantised vectors that processes map and share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    augment_queries,
    unit_rows,
)
from trainer.index.exact import sample
from trainer.index.protocol import BuiltIndex, Effort, Indexed, IndexTask, Settings, Space

_METRIC = "l2"
_CHUNK = 1 << 16
# What the codes lose is made up for by scoring more candidates exactly.
_CANDIDATES = {"SQ8": 30, "SQfp16": 15}
# Of a query, where all items have norm 1. The longer it is, the less its lists are chosen by how far
# they spread, which is where long items are; the shorter, the more the codes' errors count. Measured on
# even and on log-normal norms (sigma 1): 0.3 is best on the latter and costs the former nothing.
_QUERY_NORM = 0.3
_TRAINING_POINTS_PER_LIST = 64
# Where a search takes longest to choose lists and to read them: twice as many lists, half as long,
# learned from half as many points each; and a graph of their centres, of so many links.
_MANY_ITEMS = 200_000
_MANY_LISTS = 1_000
_LINKS = 32
_TRAINING_PASSES = 10
_WRITTEN_BYTES = 1 << 20


class FaissBackend:
    """IVF over transformed vectors: near in Euclidean distance is near by inner product or cosine."""

    name = "faiss"
    distribution = "faiss-cpu"

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:  # noqa: ARG002
        """Eight bits a number; sixteen where these aren't enough."""
        # FAISS' own advice is 4 to 16 times the root of n; at least eight items in a list.
        each = 8 if items > _MANY_ITEMS else 4
        lists = max(1, min(round(each * items**0.5), items // 8))
        return [[{"lists": lists, "codes": codes}] for codes in _CANDIDATES]

    def build(self, task: IndexTask) -> BuiltIndex:
        """See Backend."""
        lists, codes = int(task.settings["lists"] or 1), str(task.settings["codes"])
        augment = task.space == "inner_product"
        indexed = Indexed(task.vectors, augment=augment)
        count, dimensions = len(task.vectors), indexed.dimensions
        faiss.omp_set_num_threads(task.threads)
        centres = f"_HNSW{_LINKS}" if lists >= _MANY_LISTS else ""
        points = _TRAINING_POINTS_PER_LIST // (2 if count > _MANY_ITEMS else 1)
        index = faiss.index_factory(dimensions, f"IVF{lists}{centres},{codes}", faiss.METRIC_L2)
        index.cp.seed = task.seed
        index.cp.niter = _TRAINING_PASSES
        # Few items for each list are no mistake here: a small catalogue has no more.
        index.cp.min_points_per_centroid = 1
        index.cp.max_points_per_centroid = points
        index.train(_unit_rows(indexed, sample(count, lists * points, seed=task.seed)))
        for rows in row_chunks(count, _CHUNK):
            index.add(_unit_rows(indexed, np.arange(rows.start, rows.stop)))
            task.on_items(rows.stop - rows.start)
        _save(index, task.path)
        # What was saved is mapped.
        del index
        return BuiltIndex(
            metric=_METRIC,
            dimensions=dimensions,
            build={"lists": lists, "codes": codes, "query_norm": _QUERY_NORM},
            candidates=_CANDIDATES[codes],
            effort=Effort("probes", least=1, most=lists),
            has_file=True,
            index=_SavedIndex(task.path, count, _CANDIDATES[codes], augment=augment),
        )


def _unit_rows(indexed: Indexed, rows: NDArray[np.int64]) -> Float32Array:
    """Scale rows to norm 1.

    Codes change norms a little, and where items are much longer than queries that would outweigh what
    tells the items apart.
    """
    made = np.empty((len(rows), indexed.dimensions), dtype=np.float32)
    for some in row_chunks(len(rows)):
        made[some] = unit_rows(indexed[rows[some]])
    return made


class _SavedIndex:
    def __init__(self, path: Path, items: int, candidates: int, *, augment: bool) -> None:
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        if self._index.ntotal != items:
            raise VectorError(f"{path}: holds {self._index.ntotal} items after saving {items}")
        # Starting threads to read ahead takes longer than the search of lists that are in memory.
        faiss.downcast_InvertedLists(self._index.invlists).prefetch_nthread = 0
        self._augment = augment
        self._candidates = candidates
        self._per_candidate = self._index.nlist / items

    def search(
        self, query: Float32Array, count: int, effort: int, relative: float = 1.0
    ) -> NDArray[np.int64]:
        query = augment_queries(query) if self._augment else query
        query = query * (_QUERY_NORM / np.sqrt(query @ query))
        probes = scaled(
            effort,
            count=count,
            candidates=self._candidates,
            # As many lists more as hold the candidates more.
            per_candidate=self._per_candidate,
            effort=relative,
            most=self._index.nlist,
        )
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        rows = self._index.search(query[None, :], count, params=parameters)[1][0]
        found: NDArray[np.int64] = rows[rows >= 0]
        return found


def _save(index: faiss.IndexIVF, path: Path) -> None:
    # FAISS' own writing to a file doesn't notice that the last bytes found no room.
    with path.open("wb", buffering=_WRITTEN_BYTES) as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write, _WRITTEN_BYTES))
