"""NMSLIB: a small-world graph (HNSW), fast and accurate, of which every process has its own copy."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import nmslib
import numpy as np
from numpy.typing import NDArray

from publication.search_effort import scaled
from publication.vector_space import Float32Array, augment_items, augment_queries
from trainer.index.protocol import BuiltIndex, Effort, Settings, Space

_CANDIDATES = 10
_MOST_EF = 4096


class NmslibBackend:
    """HNSW (Malkov and Yashunin 2016, arXiv:1603.09320)."""

    name = "nmslib"
    distribution = "nmslib"

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:  # noqa: ARG002
        """Inner products are searched as they are and as angles of transformed vectors."""
        metrics = ("cosinesimil",) if space == "cosine" else ("negdotprod", "cosinesimil")
        return [
            [{"metric": metric, "M": m, "efConstruction": ef} for metric in metrics]
            for m, ef in ((16, 200), (32, 400))
        ]

    def build(
        self,
        vectors: Float32Array,
        space: Space,
        path: Path,
        settings: Settings,
        *,
        seed: int,  # noqa: ARG002 - it has none that can be set
        threads: int,
        on_items: Callable[[int], None],
    ) -> BuiltIndex:
        """See Backend."""
        metric = str(settings["metric"])
        augment = space == "inner_product" and metric == "cosinesimil"
        indexed = augment_items(vectors) if augment else np.ascontiguousarray(vectors)
        index = nmslib.init(method="hnsw", space=metric)
        index.addDataPointBatch(indexed)
        index.createIndex(
            {
                "M": settings["M"],
                "efConstruction": settings["efConstruction"],
                "indexThreadQty": threads,
                # Without this the graph is polished afterwards, for hours on a large catalogue.
                "post": 0,
            }
        )
        _save(index, path, least_bytes=indexed.nbytes)
        on_items(len(vectors))
        return BuiltIndex(
            metric=metric,
            dimensions=indexed.shape[1],
            build=dict(settings),
            candidates=_CANDIDATES,
            effort=Effort("ef", least=10, most=max(10, min(_MOST_EF, len(vectors)))),
            has_file=True,
            index=_open(path, metric, augment=augment),
        )


class _SavedIndex:
    def __init__(self, index: nmslib.FloatIndex, *, augment: bool) -> None:
        self._index = index
        self._augment = augment
        self._ef = 0

    def search(
        self, query: Float32Array, count: int, effort: int, relative: float = 1.0
    ) -> NDArray[np.int64]:
        if self._augment:
            query = augment_queries(query)
        ef = max(
            count, scaled(effort, count=count, candidates=_CANDIDATES, per_candidate=1, effort=relative)
        )
        if ef != self._ef:
            self._index.setQueryTimeParams({"efSearch": ef})
            self._ef = ef
        return self._index.knnQuery(query, k=count)[0].astype(np.int64)  # type: ignore[no-any-return]


def _save(index: nmslib.FloatIndex, path: Path, *, least_bytes: int) -> None:
    """Save the graph, whose file holds the vectors as well."""
    try:
        index.saveIndex(str(path), save_data=False)
    except RuntimeError as error:
        # Its own message doesn't tell why.
        raise OSError(errno.EIO, f"NMSLIB can't save it: {error}", str(path)) from error
    # What is written last is lost without a word.
    if path.stat().st_size < least_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _open(path: Path, metric: str, *, augment: bool) -> _SavedIndex:
    index = nmslib.init(method="hnsw", space=metric)
    index.loadIndex(str(path), load_data=False)
    return _SavedIndex(index, augment=augment)
