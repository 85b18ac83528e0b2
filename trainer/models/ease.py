"""EASE: a linear item-item model in closed form.

Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data" (arXiv:1905.03257). With the Gram
matrix G of the interactions, P = (G + l2 I)⁻¹ and W[i, j] = -P[i, j] / P[j, j], W[i, i] = 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import DivergedError, OptionError
from trainer.models.protocol import Family, Fitted, Fitting, Shape

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from lightfm_retriever.publication.vectors.vector_space import Float32Array
    from trainer.preparing.dataset import Dataset

MAX_ITEMS = 30_000
"""The most items: the matrix of items x items must fit into memory, 3.6 GB for 30,000."""

NEIGHBOURS = 500
"""The default of the neighbours kept for each item."""

# Above this, numbers have 4 bytes instead of 8.
_DOUBLE_ITEMS = 8_000
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
    told = "item-item, closed form; up to 30,000 items"
    settings = EaseSettings
    libraries: Sequence[str] = ("scipy",)
    has_vectors = False
    uses_weights = True

    def problem(self, shape: Shape) -> str | None:
        """See Family."""
        if shape.items <= MAX_ITEMS:
            return None
        gigabytes = shape.items**2 * 4 / 1e9
        return (
            f"EASE needs a matrix of items x items: {shape.items:,} x {shape.items:,} numbers are "
            f"{gigabytes:,.1f} GB, and the limit is {MAX_ITEMS:,} items; item-knn and als have no such "
            "limit"
        )

    def candidates(self, shape: Shape) -> Sequence[EaseSettings]:
        """See Family."""
        start = self.default(shape)
        return [replace(start, l2=l2) for l2 in (start.l2, 1000.0, 50.0, 10.0)]

    def around(self, settings: Any) -> Sequence[EaseSettings]:
        """See Family."""
        return [replace(settings, l2=settings.l2 * factor) for factor in (0.5, 2.0)]

    def seconds(self, shape: Shape, settings: Any) -> float:  # noqa: ARG002 - as in Family
        """See Family: the inverse, and the choice of neighbours."""
        step = 4e-11 if shape.items <= _DOUBLE_ITEMS else 2e-11
        return 0.1 + step * shape.items**3 + 4e-8 * shape.items**2 + 2e-8 * shape.squares

    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """See Family."""
        from threadpoolctl import threadpool_limits

        from trainer.models import factors, sparse_rows

        matrix = factors.positives_of(dataset, weighted=fitting.sample_weights)
        kind = np.float64 if matrix.shape[1] <= _DOUBLE_ITEMS else np.float32
        # LAPACK sums up in the same order whenever it has the same number of threads.
        with threadpool_limits(None):
            inverse = _inverse(_gram(matrix, kind), settings.l2)
        neighbours = sparse_rows.strongest(_weights(inverse), settings.neighbours)
        made = Fitted(neighbours=neighbours, profiles=dataset.profiles())
        fitting.after_epoch(1, lambda: made.scores)
        return made


def _gram(matrix: sp.csr_matrix, kind: type[np.floating]) -> NDArray[Any]:
    """Return G = XᵀX (items, items), some rows at a time."""
    by_item = matrix.T.tocsr()
    items = by_item.shape[0]
    gram = np.empty((items, items), dtype=kind)
    step = max(1, _CHUNK // items)
    for start in range(0, items, step):
        gram[start : start + step] = (by_item[start : start + step] @ matrix).toarray()
    return gram


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
    step = max(1, _CHUNK // len(inverse))
    for start in range(0, len(inverse), step):
        end = start + step
        block = inverse[start:end, start:end]
        block[:] = np.tril(block) + np.tril(block, -1).T
        inverse[start:end, end:] = inverse[end:, start:end].T
    return inverse


def _weights(inverse: NDArray[Any]) -> Iterator[Float32Array]:
    """Yield W, some rows at a time."""
    diagonal = inverse.diagonal()
    items = len(inverse)
    step = max(1, _CHUNK // items)
    for start in range(0, items, step):
        chunk = inverse[start : start + step] / -diagonal
        chunk[np.arange(len(chunk)), np.arange(start, start + len(chunk))] = 0
        yield chunk.astype(np.float32)
