"""Orders of items that are published: by external id, which breaks ties, and by popularity."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.storage.id_map import AnyIds
from lightfm_retriever.publication.storage.ragged import Ragged


def id_ranks(ids: AnyIds) -> NDArray[np.int32]:
    """For each row the place of its id among all ids in byte order, (n,)."""
    # As Python's own bytes they would take several times the memory.
    names = pa.chunked_array(
        [
            pa.array([ids.external_id(row).encode() for row in range(rows.start, rows.stop)])
            for rows in row_chunks(len(ids))
        ],
        type=pa.binary(),
    )
    ranks = np.empty(len(ids), dtype=np.int32)
    ranks[pc.sort_indices(names).to_numpy()] = np.arange(len(ids), dtype=np.int32)
    return ranks


def most_popular(popularity: NDArray[np.integer], ranks: NDArray[np.int32]) -> NDArray[np.int32]:
    """All rows (n,) by falling popularity (n,), equal ones by their ids' ranks (n,)."""
    return np.lexsort((ranks, -popularity.astype(np.int64))).astype(np.int32)


def seen_popularity(seen: Ragged, items: int) -> NDArray[np.int32]:
    """For each item the number of users who have seen it, (items,)."""
    return np.bincount(seen.values, minlength=items).astype(np.int32)
