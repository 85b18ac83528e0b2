"""Quality of a model on the interactions it was trained on and on those held out."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k

from trainer.preparing.dataset import Dataset

# Every evaluated user is scored against every item, so there is a limit.
MAX_USERS = 10_000


def evaluate(model: LightFM, dataset: Dataset, *, threads: int, seed: int) -> dict[str, float]:
    """precision@10 and AUC by LightFM's own evaluation, as means over users.

    `train_*` and `test_*` rank all items, as LightFM's evaluation does by default. `*_unseen` rank
    for each user only the items without a training interaction, which is what users get. Users
    without a positive in the evaluated part aren't counted, nor for AUC those to whom every ranked
    item is one; of more than MAX_USERS, that many drawn with `seed` are.

    Returns:
        Metrics by name; those of a part without interactions are missing. `evaluated_users` counts
        the users of the test part.
    """
    random = np.random.default_rng(seed)
    metrics: dict[str, float] = {}
    train = _two_rows(_sample(dataset.train, random))
    test = _two_rows(_sample(dataset.test, random))
    user_features = _two_rows(dataset.user_features)
    for part, positives, excluded in (
        ("train_{}", train, None),
        ("test_{}", test, None),
        ("test_{}_unseen", test, _two_rows(dataset.train)),
    ):
        if positives.nnz == 0:
            continue
        options = {
            "train_interactions": excluded,
            "user_features": user_features,
            "item_features": dataset.item_features,
            "num_threads": threads,
        }
        precision = precision_at_k(model, positives, k=10, **options)
        metrics[part.format("precision_at_10")] = float(precision.mean())
        auc = auc_score(model, positives, **options)
        # LightFM divides by the number of a user's negatives.
        if len(defined := auc[~np.isnan(auc)]):
            metrics[part.format("auc")] = float(defined.mean())
    metrics["evaluated_users"] = float((test.getnnz(axis=1) > 0).sum())
    return metrics


def _sample(interactions: sp.csr_matrix, random: np.random.Generator) -> sp.csr_matrix:
    """The positives of at most MAX_USERS users; the other rows are empty."""
    positives = interactions.multiply(interactions > 0).tocsr().astype(np.float32)
    positives.eliminate_zeros()
    users = np.flatnonzero(positives.getnnz(axis=1))
    if len(users) > MAX_USERS:
        chosen = np.zeros(positives.shape[0], dtype=np.float32)
        chosen[random.choice(users, MAX_USERS, replace=False)] = 1
        positives = (sp.diags(chosen) @ positives).tocsr()
        positives.eliminate_zeros()
    return positives


def _two_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """A single user gets company without interactions, since LightFM squeezes arrays of one away."""
    if matrix.shape[0] != 1:
        return matrix
    return sp.vstack([matrix, sp.csr_matrix((1, matrix.shape[1]), dtype=matrix.dtype)], format="csr")
