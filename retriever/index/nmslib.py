"""NMSLIB: a small-world graph (HNSW). Every worker has its own copy in memory."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

import nmslib
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import held_open, open_regular, read_regular
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError, unreadable
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.search_effort import scaled
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.index.protocol import SearchIndex, check_content, check_facts, count_of, effort_of
from retriever.index.unloadable import check_room, unloadable

_COSINE = "cosinesimil"
_INNER_PRODUCT = "negdotprod"
# The header as release 2.1.2 writes it: a flag for this format, the number of items, the size of an
# item's record, the offset of its links behind the vector and 16 bytes, another offset, the highest
# level, the item at which a search begins, two limits of links, and two kinds of function.
_HEADER = struct.Struct("<2I3Q2I2QIQ")


def open_index(publication: Publication, name: str, facts: IndexFacts, path: Path) -> SearchIndex:
    """Load the file. NMSLIB checks almost nothing itself, so this function checks everything first."""
    components = publication.manifest.components
    augmented = name == layout.RECOMMEND and facts.metric == _COSINE
    metric, dimensions = _COSINE, components
    if augmented:
        dimensions = components + 2
    elif name == layout.RECOMMEND:
        metric, dimensions = _INNER_PRODUCT, components + 1
    check_facts(name, facts, metric=metric, dimensions=dimensions)
    ef = effort_of(name, facts, "ef")
    try:
        _check_file(path, facts)
        # If there isn't enough memory for the copy, NMSLIB may call the file inconsistent, or crash.
        check_room(path)
    except OSError as error:
        raise unreadable(path, error) from error
    index = nmslib.init(method="hnsw", space=metric)
    try:
        with held_open(path) as opened:
            index.loadIndex(opened, load_data=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise unloadable("NMSLIB", path, error) from error
    return _NmslibIndex(index, augmented, count_of(name, facts, "candidates", 0), ef)


def _check_file(path: Path, facts: IndexFacts) -> None:
    """Check what NMSLIB doesn't: it would read beyond its memory, or free unread memory."""
    header = read_regular(path, max_bytes=_HEADER.size)
    if len(header) < _HEADER.size:
        raise InvalidPublicationError(path, "is too short for an NMSLIB index")
    flag, items, record, links, _, _, entry, *_ = _HEADER.unpack(header)
    if flag != 1:
        raise InvalidPublicationError(path, "isn't an HNSW index of NMSLIB 2.1")
    dimensions = ("dimensions", facts.dimensions, (links - 16) / 4)
    check_content(path, ("items", facts.items, items), dimensions)
    if entry >= items:
        raise InvalidPublicationError(
            path, f"its search begins at item {entry}, but it has {items} items"
        )
    _check_end(path, _HEADER.size + items * record, items)


def _check_end(path: Path, start: int, items: int) -> None:
    """Check that the file is complete: after the records come the links of higher levels by item."""
    size = path.stat().st_size
    with open_regular(path) as file:
        file.seek(start)
        words = np.fromfile(file, dtype="<u4").tolist() if start < size else []
    place = 0
    for item in range(items):
        if place >= len(words):
            raise InvalidPublicationError(path, f"ends before the links of item {item} of {items}")
        place += 1 + words[place] // 4
    check_content(path, ("size in bytes", start + 4 * place, size))


@dataclass(eq=False)
class _NmslibIndex:
    index: nmslib.FloatIndex
    augmented: bool
    candidates: int
    ef: int
    ef_now: int = 0
    # NMSLIB sets the effort for the whole index, not for one search.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def search(self, query: Float32Array, count: int, effort: float = 1.0) -> NDArray[np.int64]:
        if self.augmented:
            query = np.append(query, np.float32(0))
        ef = scaled(self.ef, count=count, candidates=self.candidates, per_candidate=1, effort=effort)
        with self.lock:
            if (ef := max(ef, count)) != self.ef_now:
                self.index.setQueryTimeParams({"efSearch": ef})
                self.ef_now = ef
            rows: NDArray[np.int32] = self.index.knnQuery(query, k=count)[0]
        return rows.astype(np.int64)
