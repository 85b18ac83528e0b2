"""Vectors and scores: bias folding and its inverse, the inner-product transform, norms, and order.

LightFM scores a pair by `u·i + b_u + b_i` (Kula 2015, arXiv:1507.08439, section 3.1). With vectors
`[u, b_u]` and `[i, b_i]` as published, a user's query is `[u, 1]` and the score is
`query·[i, b_i] + b_u`: one inner product and a constant that doesn't change the order.

Maximum inner product search becomes nearest-neighbour search by the transform of Bachrach et al.
2014 ("Speeding Up the Xbox Recommender System Using a Euclidean Transformation for Inner-Product
Spaces", section 3): append `sqrt(M² - |x|²)` to each item, M the largest norm, and 0 to the query.
All items then have norm M, so the order by angle to the query is the order by inner product.

Results come by score, equal scores by the place of the item's id, or by row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.errors import TooLongError, VectorError
from lightfm_retriever.publication.storage.chunks import row_chunks

Float32Array = NDArray[np.float32]

LONGEST = 1e15
"""Greatest length of an embedding, and greatest number.

A score is the inner product of two of them and two numbers, and cosines and indexes need squares: all
of that has to be well within float32, which ends at 3.4e38."""

SHORTEST = 1e-15
"""Least length of an embedding that isn't zero: the same for what vanishes below 1.2e-38."""


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
    """Inverse of `fold_biases`: views of the embeddings (n, d) and the biases (n,)."""
    return vectors[:, :-1], vectors[:, -1]


def user_queries(user_vectors: Float32Array) -> Float32Array:
    """Queries `[u, 1]` for users `[u, b_u]`: (n, d + 1) or (d + 1,) in, the same shape out, a copy."""
    queries = np.array(user_vectors, dtype=np.float32)
    queries[..., -1] = 1
    return queries


def augment_items(vectors: Float32Array) -> Float32Array:
    """Append `sqrt(M² - |x|²)`: (n, d) -> (n, d + 1), float32, every row of norm M."""
    return fold_biases(vectors, missing_lengths(vectors))


def missing_lengths(vectors: Float32Array) -> Float32Array:
    """What `augment_items` appends to each row: (n, d) -> (n,), float32."""
    squares = _all_squared_norms(vectors)
    np.subtract(squares.max(initial=0.0), squares, out=squares)
    return np.sqrt(squares, out=squares).astype(np.float32)


def squared_norms(vectors: Float32Array) -> NDArray[np.float64]:
    """`|x|²` of each row, (n, d) -> (n,): in float64, since it may be more than float32 holds."""
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return squares


def row_norms(vectors: Float32Array) -> Float32Array:
    """Euclidean norms (n,) of rows (n, d), float32."""
    norms = np.empty(len(vectors), dtype=np.float32)
    for rows in row_chunks(len(vectors)):
        norms[rows] = np.sqrt(squared_norms(vectors[rows]))
    return norms


def unit_rows(vectors: Float32Array) -> Float32Array:
    """Rows (n, d) divided by their norms, so that inner products are cosines; none may be zero."""
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
    """Positions (at most `count`) of the highest scores (n,), highest first.

    Equal ones come in the order of `ties` (n,), or by position.
    """
    if 0 < count < len(scores):
        # Everything above the count-th score is in; of those equal to it, the first ones.
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
    """Refuse rows (n, d) that scores can't be made of, and return their squared norms (n,).

    `what` is a row, such as "user embedding".

    Raises:
        VectorError: a row isn't finite; names the first one and how many there are.
        TooLongError: a row is longer than LONGEST; the same.
    """
    squares = _all_squared_norms(vectors)
    many = _many(what)
    _refuse(
        ~np.isfinite(squares), f"{many} aren't finite", "the model diverged or its input was damaged"
    )
    problem = f"{many} are longer than {LONGEST:g}"
    reason = "scores made of them are beyond what float32 holds"
    _refuse(squares > LONGEST**2, problem, reason, error=TooLongError)
    return squares


def check_indexable(vectors: Float32Array, *, what: str) -> None:
    """Refuse what makes an index answer nonsense: what `check_length` does, and rows of no direction.

    Raises as that does.
    """
    squares = check_length(vectors, what=what)
    _refuse(squares == 0, f"{_many(what)} are zero", "a zero vector has no direction")
    _refuse(
        squares < SHORTEST**2,
        f"{_many(what)} are shorter than {SHORTEST:g}",
        "their squares vanish in float32, and so does their direction",
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
