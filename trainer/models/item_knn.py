"""Item-kNN: the items whose users are the most alike.

Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms", with the shrinkage
of Bell & Koren 2007. The similarity of items i and j is `x_i · x_j / (|x_i| |x_j| + shrinkage)`, the
columns x of the interactions being weighted first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError
from trainer.models.protocol import Family, Fitted, Fitting, Shape

if TYPE_CHECKING:
    import scipy.sparse as sp

    from lightfm_retriever.publication.vectors.vector_space import Float32Array
    from trainer.preparing.dataset import Dataset

WEIGHTINGS = ("none", "tfidf", "bm25")
# Robertson's parameters of BM25, as is usual for recommendations.
_K1, _B = 1.2, 0.75
_CHUNK = 1 << 23


@dataclass(frozen=True, kw_only=True)
class ItemKnnSettings:
    """The hyperparameters of item-kNN."""

    neighbours: Annotated[int, Option("neighbours of each item", ge=1, le=100_000)] = 100
    shrinkage: Annotated[
        float, Option("lowers the similarity of items with few users", ge=0, lt=math.inf)
    ] = 20.0
    weighting: Annotated[
        str, Option("weights of interactions, by how many a user has", choices=WEIGHTINGS)
    ] = "tfidf"

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


class ItemKnn(Family):
    """The family; see trainer.models.protocol."""

    name = "item-knn"
    told = "item-item, by common users; for any size"
    settings = ItemKnnSettings
    promise = 2
    libraries: Sequence[str] = ("scipy",)
    has_vectors = False
    uses_weights = True

    def candidates(self, shape: Shape) -> Sequence[ItemKnnSettings]:
        """See Family."""
        start = self.default(shape)
        more = (
            (20, 20.0, "tfidf"),
            (500, 100.0, "tfidf"),
            (200, 20.0, "none"),
            (100, 100.0, "tfidf"),
            (20, 5.0, "none"),
        )
        others = [replace(start, neighbours=k, shrinkage=h, weighting=w) for k, h, w in more]
        return [start, *others]

    def around(self, settings: Any) -> Sequence[ItemKnnSettings]:
        """See Family."""
        return [
            replace(settings, neighbours=max(1, settings.neighbours // 2)),
            replace(settings, neighbours=settings.neighbours * 2),
            replace(settings, shrinkage=settings.shrinkage * 3 or 10.0),
            replace(settings, shrinkage=settings.shrinkage / 3),
        ]

    def seconds(self, shape: Shape, settings: Any) -> float:  # noqa: ARG002 - as in Family
        """See Family: the similarities of all pairs."""
        return 0.1 + 6e-8 * shape.items**2 + 2e-8 * shape.squares

    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """See Family."""
        from trainer.models import factors, sparse_rows

        matrix = factors.positives_of(dataset, weighted=fitting.sample_weights)
        rows = _similarities(_weighted(matrix, settings.weighting), settings.shrinkage)
        # An item is scored by its own nearest items, so these are kept, not those that are near others.
        neighbours = sparse_rows.transposed(sparse_rows.strongest(rows, settings.neighbours))
        return sparse_rows.fitted(neighbours, dataset, fitting)


def _weighted(matrix: sp.csr_matrix, weighting: str) -> sp.csr_matrix:
    """Weight interactions: a user with many of them says less about each.

    The items are the documents, and the users their terms.
    """
    if weighting == "none":
        return matrix
    import scipy.sparse as sp

    items = matrix.shape[1]
    counts = np.diff(matrix.indptr)
    rarity = np.log1p(items / np.maximum(1, counts)).astype(np.float32)
    weights = matrix.data
    if weighting == "tfidf":
        weights = np.sqrt(weights)
    else:
        lengths = np.asarray(matrix.sum(axis=0)).ravel()
        norm = 1 - _B + _B * lengths / max(float(lengths.mean()), 1e-12)
        weights = weights * (_K1 + 1) / (_K1 * norm[matrix.indices] + weights)
    weights = weights * np.repeat(rarity, counts)
    return sp.csr_matrix(
        (weights.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape
    )


def _similarities(matrix: sp.csr_matrix, shrinkage: float) -> Iterator[Float32Array]:
    """Yield the similarities of all items, some rows at a time."""
    by_item = matrix.T.tocsr()
    items = by_item.shape[0]
    lengths = np.sqrt(np.asarray(by_item.multiply(by_item).sum(axis=1), dtype=np.float64)).ravel()
    step = max(1, _CHUNK // items)
    for start in range(0, items, step):
        chunk = (by_item[start : start + step] @ matrix).toarray().astype(np.float64)
        some = lengths[start : start + step, None] * lengths[None, :] + shrinkage
        np.divide(chunk, some, out=chunk, where=some > 0)
        chunk[np.arange(len(chunk)), np.arange(start, start + len(chunk))] = 0
        yield chunk.astype(np.float32)
