"""Neighbours: the scores of an item-item model, summed over the items that a user has seen.

Such a model has a sparse matrix W. The score of item j for a user with the items S, of weights w, is
`sum of w_s W[s, j] for s in S` (Sarwar et al. 2001 for similarities, Steck 2019 for EASE). Row s lists
the items j with a weight in W[s]. An item in no row of S scores 0.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array

# Sums for all items take about as long as sorting a sixteenth as many neighbours.
_SORTED_SHARE = 16


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

    def count(self, items: Rows) -> int:
        """Return how many neighbours some items have together; one of several items counts again."""
        offsets = self.rows.offsets
        return int((offsets[items + 1] - offsets[items]).sum())

    def scores(self, items: Rows, weights: Float32Array | None = None) -> Float32Array:
        """Return the scores of all items (items,) float32, for items (s,) with weights (s,), or all 1.

        The sum is in float64 and in the given order, so equal questions have equal scores.
        """
        found, values = self._listed(items, weights)
        return self._all_sums(found, values).astype(np.float32)

    def sums(
        self, items: Rows, weights: Float32Array | None = None
    ) -> tuple[NDArray[np.int32] | None, Float32Array]:
        """Return the same scores, of the neighbours alone (k,) if these are few, and their rows (k,).

        Where the neighbours are many, the rows are None, and the scores are of all items. The time of
        few neighbours doesn't grow with the number of items.
        """
        found, values = self._listed(items, weights)
        if len(found) * _SORTED_SHARE > len(self):
            return None, self._all_sums(found, values).astype(np.float32)
        rows, places = np.unique(found, return_inverse=True)
        # As for all items: in the given order, and not in pairs.
        return rows, np.bincount(places, weights=values, minlength=len(rows)).astype(np.float32)

    def of_item(self, item: int, rows: Rows) -> Float32Array:
        """Return the weights (n,) float32 of some neighbours of one item; 0 of rows that are none."""
        start, end = self.rows.offsets[item : item + 2].tolist()
        own = self.rows.values[start:end]
        weights = np.zeros(len(rows), dtype=np.float32)
        if len(own):
            places = own.searchsorted(rows.astype(own.dtype, copy=False)).clip(max=len(own) - 1)
            there = own[places] == rows
            weights[there] = self.weights[start:end][places[there]]
        return weights

    def _listed(
        self, items: Rows, weights: Float32Array | None
    ) -> tuple[NDArray[np.int32], NDArray[np.floating]]:
        """Return rows and weights of all neighbours, one item after the other."""
        if not len(items):
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        starts, ends = self.rows.offsets[items], self.rows.offsets[items + 1]
        if width := self._width:
            # Copying rows of one table takes a fifth of the time of copying as many slices.
            some = ends > starts
            table = starts[some] // width
            rows = self.rows.values.reshape(-1, width)[table].ravel()
            values: NDArray[np.floating] = self.weights.reshape(-1, width)[table]
            if weights is not None:
                values = values * weights[some].astype(np.float64)[:, None]
            return rows, values.ravel()
        # Copying each row takes a third of the time of picking numbers by their places.
        parts = [slice(*both) for both in zip(starts.tolist(), ends.tolist(), strict=True)]
        rows = np.concatenate([self.rows.values[part] for part in parts])
        values = np.concatenate([self.weights[part] for part in parts])
        if weights is not None:
            values = values * np.repeat(weights.astype(np.float64), ends - starts)
        return rows, values

    @functools.cached_property
    def _width(self) -> int:
        """The number of neighbours of each item, if all have as many or none; else 0."""
        lengths = np.diff(self.rows.offsets)
        most = int(lengths.max(initial=0))
        return most if ((lengths == most) | (lengths == 0)).all() else 0

    def _all_sums(self, rows: NDArray[np.int32], values: NDArray[np.floating]) -> NDArray[np.float64]:
        # Without a row, numpy would count in whole numbers.
        weights = values.astype(np.float64, copy=False)
        return np.bincount(rows, weights=weights, minlength=len(self)).astype(np.float64, copy=False)
