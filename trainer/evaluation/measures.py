"""Measure lists of recommended items: pure functions on a matrix of item rows.

A matrix `top` is (users, k) int64: a row has the items of one user, best first, and -1 behind the last.
Functions return one float64 for each user, NaN where a measure isn't defined. Means over users that
leave out NaN are the metrics of a version. docs/reference/quality-measures.md has the definitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged, are_among

if TYPE_CHECKING:
    # The flags need the names of the measures, and SciPy takes long to load.
    import scipy.sparse as sp

Values: TypeAlias = NDArray[np.float64]
Top: TypeAlias = NDArray[np.int64]
Hits: TypeAlias = NDArray[np.bool_]

KS = (1, 5, 10, 20, 50)
"""The lengths of lists that are measured."""

RANKED = ("precision", "recall", "ndcg", "map", "mrr", "hit_rate")
"""The measures of `of_hits`, each in [0, 1]."""

OBJECTIVES = (*(f"{measure}_at_{k}" for measure in RANKED for k in KS), "auc")
"""The measures that a search can maximise, on unseen items."""

LISTED = ("novelty", "popularity", "head_share")
"""The measures of `of_lists`."""

HEAD = 0.01
"""The share of the catalogue whose most popular items are the head."""


def find_hits(top: Top, positives: Ragged, items: int) -> Hits:
    """Return for each place (users, k) whether its item is a positive of the user.

    Args:
        top: see the module.
        positives: for each row of `top` the ascending rows of the user's positives.
        items: the number of items.
    """
    # One number for each pair of a user and an item makes one search of all the users' searches.
    wanted = positives.owners * items + positives.values
    asked = np.arange(len(top))[:, None] * items + top
    found: Hits = are_among(asked.ravel(), wanted).reshape(top.shape) & (top >= 0)
    return found


def of_hits(hits: Hits, positives: NDArray[np.integer], k: int) -> dict[str, Values]:
    """Compute the measures RANKED of the first k places.

    A user has n positives, and hit(i) is 1 or 0 at place i.

    - precision: the sum of hit(i), over k.
    - recall: the sum of hit(i), over n.
    - hit_rate: 1 with any hit, else 0.
    - mrr: 1 over the place of the first hit, or 0 without any (Voorhees 1999).
    - map: the sum of hit(i) * precision at i, over n. It is average precision cut at k, as map_cut of
      trec_eval.
    - ndcg: the sum of hit(i) / log2(i + 1), over that of an ideal list (Järvelin and Kekäläinen 2002).
      An ideal list begins with min(k, n) hits.

    Args:
        hits: (users, at least k).
        positives: (users,) the number of positives of each user.
        k: 1 or more.
    """
    own = hits[:, :k].astype(np.float64)
    counts = np.where(positives > 0, positives, np.nan)
    places = np.arange(1, own.shape[1] + 1)
    found = own.sum(axis=1)
    defined = np.where(positives > 0, 1.0, np.nan)
    possible = np.minimum(positives, k)
    gains = 1 / np.log2(np.arange(1, k + 1) + 1)
    ideal = np.concatenate([[np.nan], np.cumsum(gains)])[possible]
    precise = own * own.cumsum(axis=1) / places
    return {
        "precision": found / k * defined,
        "recall": found / counts,
        "ndcg": own @ gains[: own.shape[1]] / ideal,
        "map": precise.sum(axis=1) / counts,
        "mrr": (own / places).max(axis=1, initial=0) * defined,
        "hit_rate": (found > 0) * defined,
    }


def of_top(top: Top, positives: Ragged, items: int) -> dict[str, Values]:
    """Return `of_hits` of whole lists; the arguments are those of find_hits."""
    return of_hits(find_hits(top, positives, items), np.diff(positives.offsets), top.shape[1])


def of_lists(top: Top, popularity: NDArray[np.integer], users: int) -> dict[str, Values]:
    """Compute the measures LISTED, means over the items of each list; NaN for an empty list.

    The share of all users who have an item in their training interactions is p.

    - novelty: -log2(p), in bits (self-information, Zhou et al. 2010).
    - popularity: p (average recommendation popularity, Yin et al. 2012, as a share of users).
    - head_share: 1 for an item among the most popular HEAD of the catalogue, else 0.

    Args:
        top: see the module.
        popularity: (items,) the number of users with a training interaction.
        users: the number of users with training interactions. An item of none counts as of one.
    """
    shares = popularity / max(1, users)
    # -log2, as a difference so that an item of all users has 0, not -0.
    surprise = np.log2(max(1, users)) - np.log2(np.maximum(popularity, 1))
    head = np.zeros(len(popularity))
    most = np.argsort(-popularity.astype(np.int64), kind="stable")
    head[most[: int(np.ceil(HEAD * len(popularity)))]] = 1
    by_name = {"novelty": surprise, "popularity": shares, "head_share": head}
    return {name: _mean_of_items(top, own) for name, own in by_name.items()}


def coverage(top: Top, items: int) -> float:
    """Return the share of all items that are in any list (Ge et al. 2010)."""
    return len(np.unique(top[top >= 0])) / items


def diversity(top: Top, interactions: sp.csr_matrix) -> Values:
    """Return 1 minus the mean cosine of all pairs of different items of each list.

    Two items are similar if the same users have them: the cosine is that of their columns in the
    matrix of training interactions. So all models are compared by the same similarity, also those
    without vectors (intra-list similarity, Ziegler et al. 2005). NaN for fewer than two items.

    Args:
        top: see the module.
        interactions: (users, items) with a number other than 0 for each interaction; its values
            don't count.
    """
    import scipy.sparse as sp

    columns = interactions.tocsc()
    counts = np.diff(columns.indptr)
    ones = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    unit = sp.csc_matrix((ones, columns.indices, columns.indptr), shape=columns.shape).T.tocsr()
    is_item = top >= 0
    lengths = is_item.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    of_list = sp.csr_matrix(
        (np.ones(offsets[-1]), top[is_item], offsets), shape=(len(top), unit.shape[0])
    )
    # The square of a sum of unit vectors has each pair twice, and 1 for each item of some user.
    sums = of_list @ unit
    squares = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
    alone = of_list @ (counts > 0).astype(np.float64)
    pairs = lengths * (lengths - 1.0)
    diverse: Values = 1 - (squares - alone) / np.where(pairs > 0, pairs, np.nan)
    return diverse


def _mean_of_items(top: Top, values: NDArray[np.floating]) -> Values:
    is_item = top >= 0
    sums = np.where(is_item, values[top], 0.0).sum(axis=1)
    counts = is_item.sum(axis=1)
    means: Values = sums / np.where(counts > 0, counts, np.nan)
    return means
