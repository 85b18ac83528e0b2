"""The weights of pairs of user and item, of which interactions may have several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.id_map import ItemIds, ItemRow, UserIds, UserRow
from trainer.data.bounds import MAX_WEIGHT, weights_as_float32

# What weights of both signs leave of their sum's size by rounding alone.
_ROUNDING = 1e-6
# Measured on MovieLens 100K with --sample-weights. With all weights below this one the embeddings stay
# about as random as they began: the AUC is 0.85, not 0.92.
_LEARNABLE = 0.02
_STOPS_AT_SMALL = ("warp", "bpr")
# With all weights above this one the AUC of BPR falls to 0.5, and with a single one of 10,000 from 0.86
# to 0.69. WARP's steps have a limit.
_BEARABLE = 50.0
_RUINED_BY_LARGE = ("bpr", "logistic")
_FEW = 0.1


@dataclass(frozen=True)
class PairWeights:
    """A matrix of weights.

    Attributes:
        matrix: (users, items) CSR float32, the weights of each pair summed, at most MAX_WEIGHT above or
            below 0.
        too_large: positions in its data of sums that were larger than that.
    """

    matrix: sp.csr_matrix
    too_large: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        weights: NDArray[np.float32],
        shape: tuple[int, int],
    ) -> PairWeights:
        """Sum the weights of the rows whose user and item are known.

        Args:
            users, items: (n,), rows of the matrix and columns; -1 for what isn't in it.
            weights: (n,).
            shape: of the matrix.
        """
        known = (users >= 0) & (items >= 0)
        if not known.all():
            users, items, weights = users[known], items[known], weights[known]
        # Summing here keeps LightFM from doing so in silence, with a shuffle between the duplicates.
        if (weights < 0).any():
            matrix = _balanced(users, items, weights, shape)
        else:
            matrix = _summed(users, items, weights, shape)
        too_large = np.flatnonzero(np.abs(matrix.data) > MAX_WEIGHT)
        np.clip(matrix.data, -MAX_WEIGHT, MAX_WEIGHT, out=matrix.data)
        return cls(matrix, too_large)

    def warnings(self, name: str, users: UserIds, items: ItemIds, *, rows: int) -> list[str]:
        """What is odd about the weights of training interactions of that name; `rows` are in them."""
        weights = self.matrix.data
        warnings = []
        if repeated := rows - len(weights):
            warnings.append(
                f"{repeated} of {rows} training interactions repeat a pair of user and item: "
                "their weights are summed"
            )
        if len(self.too_large):
            position = int(self.too_large[0])
            user = UserRow(int(np.searchsorted(self.matrix.indptr, position, side="right")) - 1)
            item = ItemRow(int(self.matrix.indices[position]))
            warnings.append(
                f"the weights of {len(self.too_large)} pairs of user and item of {name} sum to more "
                f"than {MAX_WEIGHT:g}, such as those of user {users.external_id(user)!r} and item "
                f"{items.external_id(item)!r}: they count as {MAX_WEIGHT:g}"
            )
        if negative := int((weights <= 0).sum()):
            warnings.append(
                f"{negative} training interactions of {name} have a weight of 0 or less: "
                "they count as seen, but not as positives"
            )
        return warnings


def learning_warnings(matrix: sp.csr_matrix, *, name: str, loss: str) -> Iterator[str]:
    """What LightFM makes of weights that it multiplies its steps by, where that ruins a model unseen.

    Args:
        matrix: weights of training interactions of that name.
        name: where they come from.
        loss: LightFM's.
    """
    weights = matrix.data[matrix.data > 0]
    total, learnable = len(weights), np.count_nonzero(weights >= _LEARNABLE)
    if loss in _STOPS_AT_SMALL and learnable < total * _FEW:
        yield (
            f"only {learnable} of {total} positives of {name} weigh {_LEARNABLE:g} or more: with "
            f"--sample-weights and --loss {loss} the model learns hardly anything of the others; "
            "multiply the weights, or let age count less"
        )
    elif loss in _RUINED_BY_LARGE and weights.max() > _BEARABLE:
        yield (
            f"{np.count_nonzero(weights > _BEARABLE)} of {total} positives of {name} weigh more than "
            f"{_BEARABLE:g}, up to {weights.max():g}: with --sample-weights and --loss {loss} even a "
            "few such weights can ruin the model; divide the weights, or use --loss warp, which limits "
            "its steps"
        )


def _summed(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    weights: NDArray[np.generic],
    shape: Sequence[int],
) -> sp.csr_matrix:
    matrix = sp.coo_matrix((weights, (users, items)), shape=shape).tocsr()
    matrix.sum_duplicates()
    return matrix


def _balanced(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    shape: tuple[int, int],
) -> sp.csr_matrix:
    """Sums of weights of both signs: those that cancel give 0, and no positive by rounding."""
    matrix = _summed(users, items, weights.astype(np.float64), shape)
    if matrix.nnz < len(weights):
        sizes = _summed(users, items, np.abs(weights).astype(np.float64), shape)
        matrix.data[np.abs(matrix.data) <= sizes.data * _ROUNDING] = 0
    matrix.data = weights_as_float32(matrix.data)
    return matrix
