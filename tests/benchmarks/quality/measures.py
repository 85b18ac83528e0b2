"""Measure ten recommendations for each test user: NDCG, precision and recall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Scores of all items, (n, items) float32, for n rows of users."""

AT = 10
_SEED = 3
_CHUNK_NUMBERS = 40_000_000


@dataclass(frozen=True)
class Quality:
    """The means over the test users.

    Attributes:
        ndcg, precision, recall: at 10.
        users: the number of test users.
    """

    ndcg: float
    precision: float
    recall: float
    users: int


def top(scores: NDArray[np.float32], seen: sp.csr_matrix) -> NDArray[np.int64]:
    """Return the 10 best items of each row, best first, without the user's seen items.

    Of equal scores, the first item wins. A place that no item can take is -1.
    """
    scores = scores.copy()
    scores[seen.nonzero()] = -np.inf
    at = min(AT, scores.shape[1])
    least = -np.partition(-scores, at - 1, axis=1)[:, at - 1 : at]
    best = np.full((len(scores), AT), -1, np.int64)
    for row, (own, bound) in enumerate(zip(scores, least, strict=True)):
        candidates = np.flatnonzero(own >= bound)
        ranked = candidates[np.argsort(-own[candidates], kind="stable")][:at]
        ranked = ranked[np.isfinite(own[ranked])]
        best[row, : len(ranked)] = ranked
    return best


def tested(train: sp.csr_matrix, test: sp.csr_matrix) -> tuple[NDArray[np.int64], sp.csr_matrix]:
    """Return the test users, and the matrix of relevant items.

    A test item counts if anybody has it in the training part, and the user hasn't. A user is tested
    who has such an item and anything in the training part.
    """
    known = np.asarray((train != 0).sum(axis=0)).ravel() > 0
    relevant = (test != 0).multiply(known[None, :]).tocsr()
    relevant = (relevant - relevant.multiply(train != 0)).tocsr()
    relevant.eliminate_zeros()
    chosen = (np.diff(relevant.indptr) > 0) & (np.diff(train.indptr) > 0)
    return np.flatnonzero(chosen), relevant


def quality_of(best: NDArray[np.int64], relevant: sp.csr_matrix) -> Quality:
    """Measure the lists (n, 10) against relevant items (n, items); each row has at least one."""
    discounts = 1 / np.log2(np.arange(2, AT + 2))
    ideal = np.cumsum(discounts)
    ndcg, hits = np.zeros(len(best)), np.zeros(len(best))
    counts = np.diff(relevant.indptr)
    for row, own in enumerate(best):
        wanted = relevant.indices[relevant.indptr[row] : relevant.indptr[row + 1]]
        hit = np.isin(own, wanted)
        hits[row] = hit.sum()
        ndcg[row] = (hit * discounts).sum() / ideal[min(len(wanted), AT) - 1]
    return Quality(
        float(ndcg.mean()), float(hits.mean() / AT), float((hits / counts).mean()), len(best)
    )


def measure(
    score: Scorer, train: sp.csr_matrix, test: sp.csr_matrix, *, most: int | None = None
) -> Quality:
    """Score the test users, at most `most` chosen at random, in chunks; and measure their lists."""
    rows, relevant = tested(train, test)
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(_SEED).permutation(rows)[:most])
    step = max(1, _CHUNK_NUMBERS // train.shape[1])
    lists = [
        top(score(rows[start : start + step]), train[rows[start : start + step]])
        for start in range(0, len(rows), step)
    ]
    if not lists:
        raise ValueError("no user has a test item that the training part has, too")
    return quality_of(np.concatenate(lists), relevant[rows])
