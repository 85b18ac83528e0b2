"""Popular items: one ranking for all users, published with the version."""

from __future__ import annotations

import numpy as np

from lightfm_retriever.publication.vectors.vector_space import best
from retriever.answering.search import Found, Wanted, without
from retriever.answering.snapshot import Snapshot
from retriever.errors import NotPublishedError

# Number of items that are examined at a time.
_STEP = 4096


def find_popular(snapshot: Snapshot, wanted: Wanted) -> Found:
    """Find the most popular items: by number of users, largest first, equal ones by item id.

    Raises:
        NotPublishedError: the version has no popularity data.
    """
    ranking, counts = snapshot.publication.popular_items, snapshot.publication.popularity
    if ranking is None or counts is None:
        raise NotPublishedError("popularity data", snapshot.version, "train again")
    start = wanted.position.offset
    end = start + wanted.count
    if wanted.filter is not None and wanted.filter.most <= _STEP:
        # For so few matching items, going through the whole ranking would take longer.
        matching_rows = wanted.filter.rows()
        rows = without(matching_rows, wanted.excluded)
        found = counts[rows].astype(np.float32)
        ranks = snapshot.publication.id_ranks
        order = best(found, end, None if ranks is None else ranks[rows])[start:]
        every = len(matching_rows)
        return Found(rows[order], found[order], 0, every, every - len(rows), every, len(rows))
    kept = [np.empty(0, dtype=np.int64)]
    looked_at = matching = have = 0
    for first in range(0, wanted.items, _STEP):
        rows = ranking[first : first + _STEP].astype(np.int64)
        looked_at += len(rows)
        if wanted.filter is not None:
            rows = rows[wanted.filter.matches(rows)]
        matching += len(rows)
        kept.append(without(rows, wanted.excluded))
        have += len(kept[-1])
        if have >= end:
            break
    rows = np.concatenate(kept)[start:end]
    scores = counts[rows].astype(np.float32)
    known = (matching, have) if looked_at >= wanted.items else ()
    return Found(rows, scores, 0, looked_at, looked_at - have, *known)
