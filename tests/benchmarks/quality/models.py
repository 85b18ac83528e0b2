"""Implement the simple models that ours are compared with."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import scipy.linalg.lapack
import scipy.sparse as sp
from numpy.typing import NDArray

from tests.benchmarks.quality.measures import Scorer

Settings = dict[str, Any]
SEED = 7


def popular(train: sp.csr_matrix, settings: Settings) -> Scorer:
    """Score an item by the number of its users."""
    counts = np.asarray((train != 0).sum(axis=0), np.float32)
    return lambda rows: np.repeat(counts, len(rows), axis=0)


def ease(train: sp.csr_matrix, settings: Settings) -> Scorer:
    """Fit EASE (Steck 2019), with `l2` as the penalty.

    With P = (XᵀX + l2 I)⁻¹ the weights are I - P / diag(P), and the scores X - X P / diag(P).
    With fewer users than items, X P = (XXᵀ + l2 I)⁻¹ X =: K, and
    diag(P) = (1 - diag(Xᵀ K)) / l2, so the matrix to invert has the size of the users.
    """
    x = (train != 0).astype(np.float32).tocsr()
    users, items = x.shape
    if users < items:
        k = (x.T @ _inverse((x @ x.T).toarray(), settings["l2"])).T
        diagonal = (1 - np.asarray(x.multiply(k).sum(axis=0)).ravel()) / settings["l2"]
        return lambda rows: np.asarray(x[rows].toarray() - k[rows] / diagonal, np.float32)
    p = _inverse((x.T @ x).toarray(), settings["l2"])
    p /= -np.diag(p).copy()
    np.fill_diagonal(p, 0)
    return lambda rows: np.asarray(x[rows] @ p, np.float32)


def _inverse(gram: NDArray[np.float32], l2: float) -> NDArray[np.float32]:
    """Return the inverse of a Gram matrix plus l2 on its diagonal, and overwrite the matrix."""
    gram[np.diag_indices(len(gram))] += l2
    # Its transpose is the same matrix, in the order that LAPACK overwrites.
    factor, failed = scipy.linalg.lapack.spotrf(gram.T, lower=1, overwrite_a=1)
    if not failed:
        inverse, failed = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ValueError(f"EASE: the matrix of {len(gram)} rows can't be inverted")
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    return inverse


def item_knn(train: sp.csr_matrix, settings: Settings) -> Scorer:
    """Sum the similarities of a user's items to each item, over the nearest `k` of each item.

    `weighting` is "cosine", "tfidf" or "bm25", applied to the pairs before cosines; bm25 uses inner
    products with the plain pairs. Shrinkage adds `shrink` to the product of the lengths.
    """
    x = (train != 0).astype(np.float32).tocsr()
    weighted = _weighted(x, settings["weighting"])
    other = x if settings["weighting"] == "bm25" else weighted
    lengths = np.sqrt(np.asarray(weighted.power(2).sum(axis=0))).ravel()
    lengths[lengths == 0] = 1
    left, right = weighted.T.tocsr(), other.tocsr()
    kept = []
    for start in range(0, x.shape[1], 500):
        block = (left[start : start + 500] @ right).tocsr()
        own = np.arange(start, start + block.shape[0])
        counts = np.diff(block.indptr)
        if settings["weighting"] != "bm25":
            products = np.repeat(lengths[own], counts) * lengths[block.indices]
            block.data /= products + settings["shrink"]
        block.data[block.indices == np.repeat(own, counts)] = 0
        for low, high in itertools.pairwise(block.indptr):
            values = block.data[low:high]
            if len(values) > settings["k"]:
                least = np.partition(values, -settings["k"])[-settings["k"]]
                values[values < least] = 0
        block.eliminate_zeros()
        kept.append(block)
    neighbours = sp.vstack(kept).T.tocsr()
    return lambda rows: np.asarray((x[rows] @ neighbours).toarray(), np.float32)


def _weighted(x: sp.csr_matrix, weighting: str) -> sp.csr_matrix:
    """Weight the pairs (users, items)."""
    if weighting == "cosine":
        return x
    # A user with many items says less about each: the inverse "document" frequency of the user.
    per_user = np.maximum(np.asarray(x.sum(axis=1)).ravel(), 1)
    idf = np.log(x.shape[1] / per_user) + 1
    made = sp.diags(idf.astype(np.float32)) @ x
    if weighting == "bm25":
        per_item = np.asarray(x.sum(axis=0)).ravel()
        k1, b = 1.2, 0.75
        norm = (1 - b) + b * per_item / per_item.mean()
        made = made @ sp.diags(((k1 + 1) / (k1 * norm + 1)).astype(np.float32))
    return made.tocsr()


def als(train: sp.csr_matrix, settings: Settings) -> Scorer:
    """Fit implicit's ALS (Hu, Koren & Volinsky 2008) to pairs, or to 1 + log(count)."""
    from implicit.als import AlternatingLeastSquares

    regularization, alpha = settings["penalty"]
    x = train.copy().tocsr()
    x.data = 1 + np.log(x.data) if settings.get("log_counts") else np.ones_like(x.data)
    # implicit multiplies the confidence by alpha in some versions only: so it is done here.
    x.data = (x.data * alpha).astype(np.float32)
    model = AlternatingLeastSquares(
        factors=settings["factors"],
        regularization=regularization,
        iterations=settings["iterations"],
        alpha=1.0,
        num_threads=1,
        random_state=SEED,
    )
    model.fit(x, show_progress=False)
    return _inner_products(model.user_factors, model.item_factors)


def bpr(train: sp.csr_matrix, settings: Settings) -> Scorer:
    """Fit implicit's BPR (Rendle et al. 2009)."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=settings["factors"],
        learning_rate=settings["learning_rate"],
        regularization=settings["regularization"],
        iterations=settings["iterations"],
        num_threads=1,
        random_state=SEED,
    )
    model.fit((train != 0).astype(np.float32).tocsr(), show_progress=False)
    return _inner_products(model.user_factors, model.item_factors)


def _inner_products(users: NDArray[np.float32], items: NDArray[np.float32]) -> Scorer:
    return lambda rows: np.asarray(users[rows] @ items.T, np.float32)


MODELS = {"popular": popular, "item-knn": item_knn, "ease": ease, "als": als, "bpr": bpr}
"""Functions that fit a model to (users, items) and return its scorer."""
