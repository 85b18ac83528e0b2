"""EASE: a linear item-item model in closed form.

Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data" (arXiv:1905.03257). With the
interactions X and their Gram matrix G = XᵀX, P = (G + l2 I)⁻¹ and W[i, j] = -P[i, j] / P[j, j], except
W[i, i] = 0.

With fewer users than items, only a matrix of users x users is inverted. By the identity of Woodbury,
P = (I - Xᵀ(XXᵀ + l2 I)⁻¹X) / l2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.publication.storage.chunks import row_chunks
from trainer.errors import DivergedError, OptionError
from trainer.models.protocol import Family, Fitted, Fitting, Shape

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from lightfm_retriever.publication.vectors.vector_space import Float32Array
    from trainer.preparing.dataset import Dataset

MAX_ROWS = 30_000
"""The most items, or users if they are fewer: their square matrix must fit into memory, with 3.6 GB."""

_MOST_NUMBERS = 1_000_000_000

NEIGHBOURS = 300
"""The default of the neighbours kept for each item."""

# Above this, numbers have 4 bytes instead of 8.
_DOUBLE_ROWS = 8_000
_CHUNK = 1 << 24


@dataclass(frozen=True, kw_only=True)
class EaseSettings:
    """The hyperparameters of EASE."""

    l2: Annotated[
        float, Option("L2 penalty; the more users, the larger it may be", gt=0, lt=math.inf)
    ] = 250.0
    neighbours: Annotated[
        int, Option("neighbours kept for each item, by the size of their weight", ge=1, le=100_000)
    ] = NEIGHBOURS

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


class Ease(Family):
    """The family; see trainer.models.protocol."""

    name = "ease"
    told = "item-item, closed form; up to 30,000 items or users"
    settings = EaseSettings
    promise = 4
    libraries: Sequence[str] = ("scipy",)
    has_vectors = False
    uses_weights = True

    def problem(self, shape: Shape) -> str | None:
        """See Family."""
        side, rows = min(("items", shape.items), ("users", shape.users), key=lambda own: own[1])
        columns = rows if rows == shape.items else shape.items
        if rows <= MAX_ROWS and rows * columns <= _MOST_NUMBERS:
            return None
        return (
            f"EASE needs a matrix of {side} x items: {rows:,} x {columns:,} numbers are "
            f"{rows * columns * 4 / 1e9:,.1f} GB, and the limit is {MAX_ROWS:,} {side} and "
            f"{_MOST_NUMBERS * 4 / 1e9:g} GB; item-knn and als have no such limit"
        )

    def candidates(self, shape: Shape) -> Sequence[EaseSettings]:
        """See Family."""
        start = self.default(shape)
        return [replace(start, l2=l2) for l2 in (start.l2, 100.0, 500.0, 30.0, 1000.0)]

    def around(self, settings: Any) -> Sequence[EaseSettings]:
        """See Family."""
        return [replace(settings, l2=settings.l2 * factor) for factor in (0.5, 2.0)]

    def seconds(self, shape: Shape, settings: Any) -> float:  # noqa: ARG002 - as in Family
        """See Family: the inverse, the weights, and the choice of neighbours."""
        rows = min(shape.items, shape.users)
        step = 4e-11 if rows <= _DOUBLE_ROWS else 2e-11
        weights = 2e-9 * shape.positives * shape.items if rows < shape.items else 0.0
        return 0.1 + step * rows**3 + weights + 4e-8 * shape.items**2 + 2e-8 * shape.squares

    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """See Family."""
        from threadpoolctl import threadpool_limits

        from trainer.models import factors, sparse_rows

        matrix = factors.positives_of(dataset, weighted=fitting.sample_weights)
        by_users = matrix.shape[0] < matrix.shape[1]
        weights = (_by_users if by_users else _by_items)(matrix, settings.l2)
        # LAPACK sums up in the same order whenever it has the same number of threads.
        with threadpool_limits(None):
            neighbours = sparse_rows.strongest(weights, settings.neighbours)
        return sparse_rows.fitted(neighbours, dataset, fitting)


def _gram(rows: sp.csr_matrix) -> NDArray[Any]:
    """Return the inner products of all rows, computed some rows at a time."""
    count = rows.shape[0]
    gram = np.empty((count, count), dtype=np.float64 if count <= _DOUBLE_ROWS else np.float32)
    columns = rows.T.tocsr()
    for chunk in _chunks(count):
        gram[chunk] = (rows[chunk] @ columns).toarray()
    return gram


def _by_items(matrix: sp.csr_matrix, l2: float) -> Iterator[Float32Array]:
    """Yield W, some rows at a time, by the inverse for all items."""
    inverse = _inverse(_gram(matrix.T.tocsr()), l2)
    diagonal = inverse.diagonal()
    for rows in _chunks(len(inverse)):
        yield _divided(-inverse[rows], diagonal, rows)


def _by_users(matrix: sp.csr_matrix, l2: float) -> Iterator[Float32Array]:
    """Yield W, some rows at a time, by the inverse for all users."""
    inverse = _inverse(_gram(matrix), l2)
    # (users, items): the inverse is symmetric, and a sparse matrix is quicker on the left.
    solved = (matrix.T @ inverse).T
    by_item = matrix.T.tocsr()
    # Rounding mustn't make it 0 or less.
    diagonal = np.maximum(1 - np.asarray(by_item.multiply(solved.T).sum(axis=1)).ravel(), 1e-9)
    for rows in _chunks(matrix.shape[1]):
        yield _divided(by_item[rows] @ solved, diagonal, rows)


def _divided(chunk: NDArray[Any], diagonal: NDArray[Any], rows: slice) -> Float32Array:
    """Divide some rows by the diagonal of P, and remove the weight of each item itself."""
    weights: Float32Array = (chunk / diagonal).astype(np.float32)
    weights[np.arange(len(weights)), np.arange(rows.start, rows.start + len(weights))] = 0
    return weights


def _chunks(items: int) -> Iterator[slice]:
    yield from row_chunks(items, max(1, _CHUNK // items))


def _inverse(gram: NDArray[Any], l2: float) -> NDArray[Any]:
    """Return (G + l2 I)⁻¹, in the memory of `gram`.

    Raises DivergedError if the penalty is too small for the inverse to exist.
    """
    from scipy.linalg import lapack

    gram[np.diag_indices_from(gram)] += l2
    single = gram.dtype == np.float32
    factor, invert = (lapack.spotrf, lapack.spotri) if single else (lapack.dpotrf, lapack.dpotri)
    # The transpose of a symmetric matrix is the matrix in LAPACK's order, so it needs no copy.
    lower, problem = factor(gram.T, lower=True, overwrite_a=True)
    if not problem:
        lower, problem = invert(lower, lower=True, overwrite_c=True)
    if problem:
        raise DivergedError(
            None, problem=f"EASE has no solution with l2={l2:g}", advice="set a larger one by --set l2"
        )
    # Only the lower triangle is filled in. Copy it to the upper one, without another large matrix.
    inverse: NDArray[Any] = lower
    for rows in _chunks(len(inverse)):
        block = inverse[rows, rows]
        block[:] = np.tril(block) + np.tril(block, -1).T
        inverse[rows, rows.stop :] = inverse[rows.stop :, rows].T
    return inverse
