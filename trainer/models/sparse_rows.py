"""Keep the strongest neighbours of each item, from rows of an item-item matrix."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.errors import DivergedError
from trainer.models.protocol import Fitted, Fitting
from trainer.preparing.dataset import Dataset

ADVICE = "change the settings of the model"
"""The advice of the families when a model diverges."""

_EMPTY = (
    "no two items have a weight, so all scores are 0: no user has two items, or the settings of the "
    "model shrink all weights to 0"
)


def strongest(chunks: Iterable[Float32Array], count: int) -> Neighbours:
    """Keep the `count` weights of each row that are furthest from 0; a weight of 0 is never kept.

    Args:
        chunks: the matrix, some rows (n, items) at a time. The diagonal must be 0.
        count: the largest number of neighbours of an item.

    Raises:
        DivergedError: a weight isn't finite.
    """
    lengths, columns, weights = [np.zeros(1, dtype=np.int64)], [], []
    for chunk in chunks:
        if not np.isfinite(chunk).all():
            raise DivergedError(None, problem="a weight between two items isn't finite", advice=ADVICE)
        size = np.abs(chunk)
        if count < chunk.shape[1]:
            kept = np.argpartition(-size, count, axis=1)[:, :count]
            kept.sort(axis=1)
        else:
            kept = np.broadcast_to(np.arange(chunk.shape[1]), chunk.shape)
        values = np.take_along_axis(chunk, kept, axis=1)
        some = values != 0
        lengths.append(some.sum(axis=1))
        columns.append(kept[some].astype(np.int32))
        weights.append(values[some].astype(np.float32))
    offsets = np.cumsum(np.concatenate(lengths), dtype=np.int64)
    return Neighbours(Ragged(offsets, np.concatenate(columns)), np.concatenate(weights))


def transposed(neighbours: Neighbours) -> Neighbours:
    """Turn the rows of a matrix into its columns."""
    items, rows = len(neighbours), neighbours.rows
    # A stable sort keeps the rows of a column in ascending order.
    order = np.argsort(rows.values, kind="stable")
    lengths = np.bincount(rows.values, minlength=items)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    owners = rows.owners[order].astype(np.int32)
    return Neighbours(Ragged(offsets, owners), neighbours.weights[order])


def fitted(neighbours: Neighbours, dataset: Dataset, fitting: Fitting) -> Fitted:
    """Return the model of neighbours, after its only epoch.

    It has a warning if no item has a neighbour, since all scores are 0 then.
    """
    warnings = [] if len(neighbours.weights) else [_EMPTY]
    made = Fitted(neighbours=neighbours, profiles=dataset.profiles(), warnings=warnings)
    fitting.after_epoch(1, lambda: made.scores)
    return made
