"""Neighbours: the scores of an item-item model, summed over the items that a user has seen.

Such a model has a sparse matrix W. The score of item j for a user with the items S, of weights w, is
`sum of w_s W[s, j] for s in S` (Sarwar et al. 2001 for similarities, Steck 2019 for EASE). Row s lists
the items j with a weight in W[s]. An item in no row of S scores 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array


@dataclass(frozen=True)
class Neighbours:
    """A sparse item-item matrix by row.

    Attributes:
        rows: for each item, the ascending item rows of its neighbours, int32, without itself.
        weights: (rows.offsets[-1],) float32, finite, the weight of each neighbour; may be below 0.
    """

    rows: Ragged
    weights: Float32Array

    def __len__(self) -> int:
        return len(self.rows)

    def scores(self, items: Rows, weights: Float32Array | None = None) -> Float32Array:
        """Return the scores of all items (items,) float32, for items (s,) with weights (s,), or all 1.

        The sum is in float64 and in the given order, so equal questions have equal scores.
        """
        offsets = self.rows.offsets
        starts, lengths = offsets[items], offsets[items + 1] - offsets[items]
        total = int(lengths.sum())
        # Positions of all neighbours of all items, one item after the other.
        ends = np.cumsum(lengths)
        places = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
        values: NDArray[np.floating] = self.weights[places]
        if weights is not None:
            values = values * np.repeat(weights.astype(np.float64), lengths)
        summed = np.bincount(self.rows.values[places], weights=values, minlength=len(self))
        return summed.astype(np.float32)
