"""Evaluate recommendations for users without a vector of their own.

All metrics are precision@10 and NDCG@10 on the held-out positives, without seen items, by exact
scoring. They are means over the same users: those with both a held-out positive and a seen item.

The evaluation replaces the vectors of trained users. Item vectors and feature embeddings stay as
trained, also on interactions of the evaluated users. The fold-in for a user is learned without that
user (cross-fitting), while the published fold-in is learned from all users.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.evaluation.evaluation import K
from trainer.evaluation.held_out_test import HeldOutTest, rows_of, with_positives
from trainer.evaluation.measures import of_top
from trainer.fitting.embeddings import Embeddings
from trainer.fitting.scores import SameScores, UserScores, VectorScores, top
from trainer.index.exact import sample
from trainer.preparing.dataset import most_popular

COLD_MEASURES = ("precision", "ndcg")
_FOLDS = 5

MAX_COLD_USERS = 2000
"""The most evaluated users, and the most users that the fold-in of a fold is learned from."""


def evaluate_cold(
    embeddings: Embeddings,
    *,
    seen: Ragged,
    held_out: Ragged,
    popular_items: NDArray[np.integer],
    features_only: Float32Array | None = None,
    seed: int = 42,
) -> dict[str, float]:
    """Compute precision@10 and NDCG@10 for users whose vectors are hidden.

    Args:
        embeddings: of the trained users, and of the items.
        seen, held_out: see HeldOutTest.
        popular_items: (items,) all rows, the most popular first.
        features_only: (users, components + 1) float32, embedding then bias: the vector of each user by
            features alone. A user without features has a row of zeros, and gets the items with the
            highest biases.
        seed: of the sample of users and of the folds.

    Returns:
        Metrics by name; empty if no user has both a positive and a seen item. Those of precision are
        below; those of NDCG have the same names with `ndcg`.
        `test_precision_at_10_folded_in`: by sessions of the seen items; missing without a fold-in.
        `test_precision_at_10_features_only`: by `features_only`, if given.
        `test_precision_at_10_popular`: by the most popular items.
        `test_precision_at_10_trained`: by the users' own vectors.
    """
    users = evaluated_users(seen, held_out, seed=seed)
    if not len(users):
        return {}

    own_seen, positives = rows_of(seen, users), rows_of(held_out, users)
    items = len(embeddings.item_vectors)

    def measured(kind: str, scores: UserScores) -> dict[str, float]:
        lists = top(scores, np.arange(len(users)), own_seen, K)
        found = of_top(lists, positives, items)
        return {f"test_{name}_at_{K}_{kind}": float(found[name].mean()) for name in COLD_MEASURES}

    # The positions of the most popular items as scores: float32 is exact up to 16 million of them.
    popular = np.empty(items, dtype=np.float32)
    popular[popular_items] = -np.arange(items)
    folded = fold_users_in(embeddings, users, seen, seed=seed)
    by_vectors = {
        "folded_in": folded,
        "features_only": None if features_only is None else features_only[users],
    }
    metrics: dict[str, float] = {}
    for kind, vectors in by_vectors.items():
        if vectors is not None:
            metrics |= measured(kind, VectorScores(embeddings.item_vectors, vectors))
    metrics |= measured("popular", SameScores(popular))
    return metrics | measured(
        "trained", VectorScores(embeddings.item_vectors, embeddings.user_vectors[users])
    )


def evaluate_cold_of(
    test: HeldOutTest, embeddings: Embeddings, features_only: Float32Array | None, *, seed: int
) -> dict[str, float]:
    """Call `evaluate_cold` for a test that has the order of equal scores."""
    assert test.ties is not None  # noqa: S101 - see above
    return evaluate_cold(
        embeddings,
        seen=test.seen,
        held_out=test.held_out,
        popular_items=most_popular(test.popularity, test.ties),
        features_only=features_only,
        seed=seed,
    )


def evaluated_users(seen: Ragged, held_out: Ragged, *, seed: int) -> NDArray[np.int64]:
    """Return the ascending rows of users with a held-out positive and a seen item, or a sample."""
    users = with_positives(held_out, seed=seed)
    rows: NDArray[np.int64] = users[np.diff(seen.offsets)[users] > 0]
    return rows[sample(len(rows), MAX_COLD_USERS, seed=seed)]


def fold_users_in(
    embeddings: Embeddings, users: NDArray[np.int64], seen: Ragged, *, seed: int
) -> Float32Array | None:
    """Compute vectors (users, components + 1) from sessions of the users' seen items.

    The users are divided into folds. The fold-in for each fold is learned from the other users.

    Returns:
        None if a FoldIn can't be made.
    """
    random = np.random.default_rng(seed)
    others = np.setdiff1d(np.flatnonzero(np.diff(seen.offsets)), users)
    more = random.permutation(others)[: max(0, MAX_COLD_USERS - len(users))]
    folded = np.zeros((len(users), embeddings.components + 1), dtype=np.float32)
    # The sizes of the folds differ by one at most.
    fold_of = random.permutation(len(users)) % _FOLDS
    for fold in range(min(_FOLDS, len(users))):
        learned = np.concatenate([users[fold_of != fold], more])
        fold_in = FoldIn.build(
            embeddings.item_vectors,
            embeddings.user_vectors[learned],
            rows_of(seen, learned),
            seed=seed,
        )
        if fold_in is None:
            return None
        for position in np.flatnonzero(fold_of == fold).tolist():
            session = seen[users[position]]
            weights = np.ones(len(session), dtype=np.float32)
            parts = fold_in.parts(embeddings.item_embeddings[session], weights)
            folded[position, :-1] = parts.sum(axis=0)
    return folded
