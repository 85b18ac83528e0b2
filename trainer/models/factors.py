"""Make published vectors from the factors of a matrix factorisation."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lightfm_retriever.publication.errors import TooLongError
from lightfm_retriever.publication.vectors.vector_space import (
    LONGEST,
    SHORTEST,
    Float32Array,
    fold_biases,
    squared_norms,
)
from trainer.errors import DivergedError
from trainer.fitting.embeddings import Embeddings, check_servable
from trainer.models.sparse_rows import ADVICE
from trainer.preparing.dataset import Dataset, positive_part

# Length of the vector of a row without a factor, relative to the mean's length.
_SHORT = 1e-3
# Scores below this say nothing: too strong a penalty leaves only the noise of the start.
_NOTHING = 1e-6


def embeddings_of(
    items: Float32Array, users: Float32Array, item_biases: Float32Array | None = None
) -> Embeddings:
    """Make embeddings of factors (n, d) and item biases (items,).

    An item without a direction gets a thousandth of the mean factor, so that it ranks below the others.

    Raises:
        DivergedError: a number isn't finite, or is too large to be served, or all scores are nearly 0.
    """
    for factors in (items, users):
        # `not all(<=)` instead of `any(>)`, so that NaN fails.
        if not (squared_norms(factors) <= LONGEST**2).all():
            raise DivergedError(
                None, problem="a factor isn't finite, or is too long to be served", advice=ADVICE
            )
    longest = np.sqrt(squared_norms(items).max(initial=0) * squared_norms(users).max(initial=0))
    steepest = 0.0 if item_biases is None else float(np.ptp(item_biases))
    if max(longest, steepest) < _NOTHING:
        raise DivergedError(
            None, problem="all scores are nearly 0", advice="lower the regularization of the model"
        )
    items = np.array(items, dtype=np.float32)
    missing = squared_norms(items) < SHORTEST**2
    if missing.all():
        raise DivergedError(None, problem="all factors of items are zero", advice=ADVICE)
    items[missing] = _SHORT * items[~missing].mean(axis=0)
    biases = np.zeros(len(items), dtype=np.float32) if item_biases is None else item_biases
    made = Embeddings(
        item_vectors=fold_biases(items, biases),
        user_vectors=fold_biases(users, np.zeros(len(users), dtype=np.float32)),
    )
    try:
        check_servable(made)
    except TooLongError as error:
        raise DivergedError(None, problem=str(error), advice=ADVICE) from error
    return made


def positives_of(dataset: Dataset, *, weighted: bool) -> sp.csr_matrix:
    """Return the positive training interactions (users, items), CSR float32, sorted.

    The numbers are weights, or 1 if `weighted` is False.
    """
    matrix = sp.csr_matrix(positive_part(dataset.train), copy=True, dtype=np.float32)
    matrix.sort_indices()
    if not weighted:
        matrix.data[:] = 1
    return matrix
