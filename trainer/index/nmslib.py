"""Build NMSLIB indexes: small-world graphs (HNSW), fast and accurate; each process has a copy."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting.process import release_heap
from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors.vector_space import Float32Array, augment_queries
from trainer.index.protocol import BuiltIndex, Effort, Indexed, IndexTask, Settings, Space
from trainer.index.quiet import without_lines

# NMSLIB prints this on most machines. A user of its wheel can't change it: the report says so instead.
with without_lines("Your CPU supports instructions", "For maximum performance", "pip install --no-bin"):
    import nmslib

_CANDIDATES = 10
_MOST_EF = 4096


class NmslibBackend:
    """Builds HNSW graphs (Malkov and Yashunin 2016, arXiv:1603.09320)."""

    name = "nmslib"
    distribution = "nmslib"

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:  # noqa: ARG002
        """Try inner products directly, and as angles of transformed vectors; see Backend."""
        metrics = ("cosinesimil",) if space == "cosine" else ("negdotprod", "cosinesimil")
        return [
            [{"metric": metric, "M": m, "efConstruction": ef} for metric in metrics]
            for m, ef in ((16, 200), (32, 400))
        ]

    def build(self, task: IndexTask) -> BuiltIndex:
        """See Backend; NMSLIB has no seed."""
        count, settings = len(task.vectors), task.settings
        metric = str(settings["metric"])
        augment = task.space == "inner_product" and metric == "cosinesimil"
        indexed = Indexed(task.vectors, augment=augment)
        index = nmslib.init(method="hnsw", space=metric)
        for rows in row_chunks(count):
            ids = np.arange(rows.start, rows.stop, dtype=np.int32)
            index.addDataPointBatch(np.ascontiguousarray(indexed[rows]), ids)
        index.createIndex(
            {
                "M": settings["M"],
                "efConstruction": settings["efConstruction"],
                "indexThreadQty": task.threads,
                # Otherwise NMSLIB would polish the graph afterwards, for hours on a large catalogue.
                "post": 0,
            }
        )
        _save(index, task.path, least_bytes=4 * count * indexed.dimensions)
        # Free it first: it holds the vectors and the graph twice, and the saved index is opened next.
        del index
        release_heap()
        task.on_items(count)
        saved = _SavedIndex(task.path, metric, augment=augment)
        return BuiltIndex(
            metric=metric,
            dimensions=indexed.dimensions,
            build=dict(settings),
            candidates=_CANDIDATES,
            effort=Effort("ef", least=10, most=max(10, min(_MOST_EF, count))),
            has_file=True,
            index=saved,
            release=saved.release,
        )


class _SavedIndex:
    """The saved index: in memory until `release`, and again from the next search on."""

    def __init__(self, path: Path, metric: str, *, augment: bool) -> None:
        self._path = path
        self._metric = metric
        self._augment = augment
        self._index: nmslib.FloatIndex | None = None
        self._ef = 0
        self._open()

    def release(self) -> None:
        """Free the memory; the next search opens the file again."""
        self._index = None
        release_heap()

    def search(
        self, query: Float32Array, count: int, effort: int, relative: float = 1.0
    ) -> NDArray[np.int64]:
        if self._augment:
            query = augment_queries(query)
        index = self._open()
        ef = max(
            count, scaled(effort, count=count, candidates=_CANDIDATES, per_candidate=1, effort=relative)
        )
        if ef != self._ef:
            index.setQueryTimeParams({"efSearch": ef})
            self._ef = ef
        return index.knnQuery(query, k=count)[0].astype(np.int64)  # type: ignore[no-any-return]

    def _open(self) -> nmslib.FloatIndex:
        if self._index is None:
            index = nmslib.init(method="hnsw", space=self._metric)
            index.loadIndex(str(self._path), load_data=False)
            self._index, self._ef = index, 0
        return self._index


def _save(index: nmslib.FloatIndex, path: Path, *, least_bytes: int) -> None:
    """Save the graph with its vectors; raises OSError if the file is incomplete."""
    try:
        index.saveIndex(str(path), save_data=False)
    except RuntimeError as error:
        # The message of NMSLIB doesn't name the file.
        raise OSError(errno.EIO, f"NMSLIB can't save the index: {error}", str(path)) from error
    # NMSLIB ignores errors while it writes the end of the file.
    if path.stat().st_size < least_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
