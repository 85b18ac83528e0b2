"""Build FAISS indexes: inverted files of scalar-quantised vectors that processes share."""

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
# Codes are inexact, so more candidates are scored exactly.
_CANDIDATES = {"SQ8": 30, "SQfp16": 15}
# The norm of queries, for items of norm 1. A longer query ignores how far lists spread, which is where
# long items are. A shorter query makes the errors of codes count more. Measured on even and log-normal
# norms (sigma 1): 0.3 is best for the latter and costs the former nothing.
_QUERY_NORM = 0.3
_TRAINING_POINTS_PER_LIST = 64
# In large catalogues a search spends most time on choosing lists and reading them. So there are twice
# as many lists of half the length, learned from half as many points each. Beyond _MANY_LISTS lists, a
# graph with _LINKS links finds their centres.
_MANY_ITEMS = 200_000
_MANY_LISTS = 1_000
_LINKS = 32
_TRAINING_PASSES = 10
_WRITTEN_BYTES = 1 << 20


class FaissBackend:
    """Builds IVF indexes of transformed vectors, whose distance ranks by inner product or cosine."""

    name = "faiss"
    distribution = "faiss-cpu"

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:  # noqa: ARG002
        """Try eight bits for each number, then sixteen; see Backend."""
        # FAISS recommends 4 to 16 times the root of n; a list has at least eight items.
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
        # FAISS warns of few items per list, but a small catalogue has no more.
        index.cp.min_points_per_centroid = 1
        index.cp.max_points_per_centroid = points
        index.train(_unit_rows(indexed, sample(count, lists * points, seed=task.seed)))
        for rows in row_chunks(count, _CHUNK):
            index.add(_unit_rows(indexed, np.arange(rows.start, rows.stop)))
            task.on_items(rows.stop - rows.start)
        _save(index, task.path)
        # Free the index in memory before the saved one is mapped.
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

    Codes change norms a little. If items were much longer than queries, these errors would outweigh the
    differences between items.
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
        # Starting threads to read ahead takes longer than searching lists in memory.
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
            # Each further candidate probes as many further lists as hold one item on average.
            per_candidate=self._per_candidate,
            effort=relative,
            most=self._index.nlist,
        )
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        rows = self._index.search(query[None, :], count, params=parameters)[1][0]
        found: NDArray[np.int64] = rows[rows >= 0]
        return found


def _save(index: faiss.IndexIVF, path: Path) -> None:
    # When FAISS writes the file itself, it misses an error at the end, such as a full disk.
    with path.open("wb", buffering=_WRITTEN_BYTES) as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write, _WRITTEN_BYTES))
