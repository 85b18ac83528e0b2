"""Vectors and scores: joining biases, the inner-product transform, norms, and the order of results.

LightFM scores a pair by `u·i + b_u + b_i` (Kula 2015, arXiv:1507.08439, section 3.1). The published
vectors are `[u, b_u]` and `[i, b_i]`. A user's query is `[u, 1]`, and the score is
`query·[i, b_i] + b_u`: one inner product, and a constant that doesn't change the order.

The transform of Bachrach et al. 2014 ("Speeding Up the Xbox Recommender System Using a Euclidean
Transformation for Inner-Product Spaces", section 3) turns maximum inner product search into
nearest-neighbour search. It appends `sqrt(M² - |x|²)` to each item, M being the largest norm, and 0 to
the query. All items then have norm M, so the order by angle to the query is the order by inner product.

Results are sorted by score, and equal scores by the rank of the item's id, or by row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.errors import TooLongError, VectorError
from lightfm_retriever.publication.storage.chunks import row_chunks

Float32Array = NDArray[np.float32]

LONGEST = 1e15
"""The largest length of an embedding, and the largest number.

Scores are inner products of two embeddings plus two numbers, and cosines and indexes need squares. All
of
these must be well within float32, which ends at 3.4e38."""

SHORTEST = 1e-15
"""The smallest length of an embedding that isn't zero: its square must stay well above 1.2e-38."""


def fold_biases(embeddings: Float32Array, biases: Float32Array) -> Float32Array:
    """Join embeddings (n, d) and biases (n,) into vectors (n, d + 1), float32.

    Raises:
        VectorError: the shapes don't fit.
    """
    if embeddings.ndim != 2 or biases.shape != (embeddings.shape[0],):
        raise VectorError(
            f"embeddings {embeddings.shape} and biases {biases.shape} should be (n, d) and (n,)"
        )
    return np.concatenate([embeddings, biases[:, None]], axis=1).astype(np.float32, copy=False)


def split_biases(vectors: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Split vectors into views of the embeddings (n, d) and the biases (n,)."""
    return vectors[:, :-1], vectors[:, -1]


def user_queries(user_vectors: Float32Array) -> Float32Array:
    """Copy users `[u, b_u]` as queries `[u, 1]`, of the same shape (n, d + 1) or (d + 1,)."""
    queries = np.array(user_vectors, dtype=np.float32)
    queries[..., -1] = 1
    return queries


def augment_items(vectors: Float32Array) -> Float32Array:
    """Append `sqrt(M² - |x|²)`: (n, d) -> (n, d + 1), float32, every row of norm M."""
    return fold_biases(vectors, missing_lengths(vectors))


def missing_lengths(vectors: Float32Array) -> Float32Array:
    """Return what `augment_items` appends to each row: (n, d) -> (n,), float32."""
    squares = _all_squared_norms(vectors)
    np.subtract(squares.max(initial=0.0), squares, out=squares)
    return np.sqrt(squares, out=squares).astype(np.float32)


def squared_norms(vectors: Float32Array) -> NDArray[np.float64]:
    """Return `|x|²` of each row, (n, d) -> (n,), in float64, because it may exceed float32."""
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return squares


def row_norms(vectors: Float32Array) -> Float32Array:
    """Return the Euclidean norms (n,) of rows (n, d), float32."""
    norms = np.empty(len(vectors), dtype=np.float32)
    for rows in row_chunks(len(vectors)):
        norms[rows] = np.sqrt(squared_norms(vectors[rows]))
    return norms


def unit_rows(vectors: Float32Array) -> Float32Array:
    """Divide rows (n, d) by their norms, so that inner products are cosines. None may be zero."""
    result: Float32Array = vectors / row_norms(vectors)[:, None]
    return result


def augment_queries(queries: Float32Array) -> Float32Array:
    """Append 0 to each query: (..., d) -> (..., d + 1), float32."""
    augmented = np.zeros((*queries.shape[:-1], queries.shape[-1] + 1), dtype=np.float32)
    augmented[..., :-1] = queries
    return augmented


def best(
    scores: Float32Array, count: int, ties: NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """Return the positions of the `count` highest scores (n,), highest first.

    Equal scores are in the order of `ties` (n,), or by position.
    """
    if 0 < count < len(scores):
        # Keep all scores above the count-th, and of those equal to it the first ones.
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        chosen = np.flatnonzero(scores >= threshold)
    else:
        chosen = np.arange(len(scores))
    if ties is None:
        order: NDArray[np.int64] = chosen[np.argsort(-scores[chosen], kind="stable")[:count]]
    else:
        order = chosen[np.lexsort((ties[chosen], -scores[chosen]))[:count]]
    return order


def check_length(vectors: Float32Array, *, what: str) -> NDArray[np.float64]:
    """Check that scores can be computed from rows (n, d), and return their squared norms (n,).

    `what` names a row in messages, such as "user embedding".

    Raises:
        VectorError: a row isn't finite. The error names the first one and their number.
        TooLongError: a row is longer than LONGEST. The error names the same.
    """
    squares = _all_squared_norms(vectors)
    many = _many(what)
    _refuse(
        ~np.isfinite(squares), f"{many} aren't finite", "the model diverged or its input was damaged"
    )
    problem = f"{many} are longer than {LONGEST:g}"
    reason = "their scores would exceed float32"
    _refuse(squares > LONGEST**2, problem, reason, error=TooLongError)
    return squares


def check_indexable(vectors: Float32Array, *, what: str) -> None:
    """Check rows like `check_length`, and that each has a direction, as an index needs.

    Raises the errors of `check_length`.
    """
    squares = check_length(vectors, what=what)
    _refuse(squares == 0, f"{_many(what)} are zero", "a zero vector has no direction")
    _refuse(
        squares < SHORTEST**2,
        f"{_many(what)} are shorter than {SHORTEST:g}",
        "their squares are 0 in float32, so they have no direction",
    )


def _all_squared_norms(vectors: Float32Array) -> NDArray[np.float64]:
    squares = np.empty(len(vectors))
    for rows in row_chunks(len(vectors)):
        squares[rows] = squared_norms(vectors[rows])
    return squares


def _many(what: str) -> str:
    return f"{what}es" if what.endswith("s") else f"{what}s"


def _refuse(
    bad: NDArray[np.bool_], problem: str, reason: str, *, error: type[VectorError] = VectorError
) -> None:
    if bad.any():
        count, first = int(bad.sum()), int(bad.argmax())
        raise error(f"{count} of {len(bad)} {problem}, first at row {first}: {reason}")
