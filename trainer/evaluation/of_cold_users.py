"""How good recommendations are for those who have no vector of their own.

All figures are precision@10 on the held-out positives with seen items left out, by exact scoring, as
means over the same users: those with both a held-out positive and a seen item.

What is measured is how well a user's vector is replaced. Item vectors and feature embeddings stay as
they were trained, also on the interactions of the users that are evaluated. What folds a user in isn't
learned from that user (cross-fitting), but the published one is learned from all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import MOST_USERS, FoldIn
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.evaluation.metric_rows import POPULAR, TRAINED
from trainer.evaluation.of_vectors import K, precision_at_10, top_items, with_positives
from trainer.fitting.embeddings import Embeddings, UserFeatureVectors
from trainer.preparing.dataset import Dataset, id_ranks, most_popular

_FOLDS = 5


def evaluate_cold(
    embeddings: Embeddings,
    *,
    seen: Ragged,
    held_out: Ragged,
    popular_items: NDArray[np.integer],
    features_only: Float32Array | None = None,
    seed: int = 42,
) -> dict[str, float]:
    """precision@10 of users whose vectors are hidden.

    Args:
        embeddings, seen, held_out: see evaluate_vectors.
        popular_items: (items,) all rows, the most popular first.
        features_only: (users, components + 1) float32, embedding then bias: each user's as made of the
            user's features alone. A user without features has a row of zeros and gets the items of the
            highest bias.
        seed: of the users that are drawn when there are many, and of the folds.

    Returns:
        `test_precision_at_10_folded_in`: of users as the sessions that their seen items make; missing
        when nothing can fold them in. `test_precision_at_10_features_only`: of `features_only`, if
        given. `test_precision_at_10_popular`: of the most popular items, the same for all.
        `test_precision_at_10_trained`: of the same users by their own vectors. Nothing when no user has
        both a positive and a seen item.
    """
    users = evaluated_users(seen, held_out, seed=seed)
    if not len(users):
        return {}

    def precision(vectors: Float32Array) -> float:
        best = top_items(embeddings.item_vectors, vectors, [seen[row] for row in users])
        return precision_at_10(zip(users.tolist(), best, strict=True), held_out)

    metrics: dict[str, float] = {}
    folded = fold_users_in(embeddings, users, seen, seed=seed)
    if folded is not None:
        metrics["test_precision_at_10_folded_in"] = precision(folded)
    if features_only is not None:
        metrics["test_precision_at_10_features_only"] = precision(features_only[users])
    metrics[POPULAR] = precision_at_10(_popular(popular_items, users, seen), held_out)
    metrics[TRAINED] = precision(embeddings.user_vectors[users])
    return metrics


def evaluate_cold_of(
    dataset: Dataset, embeddings: Embeddings, user_features: UserFeatureVectors | None, *, seed: int
) -> dict[str, float]:
    """`evaluate_cold` of a dataset; {} if nothing is held out."""
    seen, held_out = dataset.seen(), dataset.held_out()
    if held_out is None:
        return {}
    return evaluate_cold(
        embeddings,
        seen=seen,
        held_out=held_out,
        popular_items=most_popular(dataset.popularity(), id_ranks(dataset.items)),
        features_only=None if user_features is None else user_features.alone(dataset),
        seed=seed,
    )


def evaluated_users(seen: Ragged, held_out: Ragged, *, seed: int) -> NDArray[np.int64]:
    """Rows, ascending, of the users with a held-out positive and a seen item; of many, some drawn."""
    users = with_positives(held_out, seed=seed)
    rows: NDArray[np.int64] = users[np.diff(seen.offsets)[users] > 0]
    return rows


def fold_users_in(
    embeddings: Embeddings, users: NDArray[np.int64], seen: Ragged, *, seed: int
) -> Float32Array | None:
    """Vectors (users, components + 1) of sessions of what each user has seen, without the users' own.

    The users are divided into folds. Those of a fold are folded in by what is learned from the
    others, and from more users if there are many.

    Returns:
        None when a FoldIn can't be made.
    """
    random = np.random.default_rng(seed)
    others = np.setdiff1d(np.flatnonzero(np.diff(seen.offsets)), users)
    more = random.permutation(others)[: max(0, MOST_USERS - len(users))]
    folded = np.zeros((len(users), embeddings.components + 1), dtype=np.float32)
    # As many in each fold as possible, give or take one.
    fold_of = random.permutation(len(users)) % _FOLDS
    for fold in range(min(_FOLDS, len(users))):
        learned = np.concatenate([users[fold_of != fold], more])
        fold_in = FoldIn.build(
            embeddings.item_vectors,
            embeddings.user_vectors[learned],
            _rows_of(seen, learned),
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


def _popular(
    popular_items: NDArray[np.integer], users: NDArray[np.int64], seen: Ragged
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    for user in users.tolist():
        own = seen[user]
        # So many that ten are left when the user has seen all others.
        first = popular_items[: K + len(own)]
        yield user, first[~np.isin(first, own)][:K].astype(np.int64)


def _rows_of(of: Ragged, rows: NDArray[np.int64]) -> Ragged:
    """Some rows, in the given order."""
    chosen = [of[row] for row in rows]
    offsets = np.cumsum([0, *map(len, chosen)], dtype=np.int64)
    return Ragged(offsets, np.concatenate([of.values[:0], *chosen]))
