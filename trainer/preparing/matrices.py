"""The matrices of a dataset: features of items and of users, and weights of their pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.id_map import (
    AnyIds,
    IdMap,
    ItemIds,
    ItemRow,
    UserIds,
    UserRow,
)
from trainer.data.bounds import MAX_WEIGHT, weights_as_float32
from trainer.data.features import FeatureTable, match_warnings, what_it_has
from trainer.notes import note_if_few

# What weights of both signs leave of their sum's size by rounding alone.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Side:
    """Items or users: their rows, and their features as a sparse matrix.

    Attributes:
        id_map: external id <-> row.
        rows: for each distinct id of the interactions its row, -1 when it isn't in the dataset.
        features: see Dataset.item_features.
        feature_names: of its columns that follow the own ones.
        warnings: what is left out or looks wrong, in sentences.
    """

    id_map: AnyIds
    rows: NDArray[np.int32]
    features: sp.csr_matrix
    feature_names: list[str]
    warnings: list[str]

    @classmethod
    def build(
        cls,
        kind: str,
        ids: Sequence[str],
        trained: NDArray[np.int64],
        table: FeatureTable,
        *,
        other_ids: Sequence[str],
    ) -> Side:
        """Give rows to those that can be learned of.

        Args:
            kind: "item" or "user".
            ids: distinct external ids of the interactions.
            trained: the positions in `ids` of the training interactions.
            table: of features.
            other_ids: those of the other side.

        Raises:
            InputError: the interactions have none of the table's ids.
        """
        has_training = np.zeros(len(ids), dtype=bool)
        has_training[trained] = True
        warm = {external_id for external_id, has in zip(ids, has_training, strict=True) if has}
        of_ids = dict(zip(table.ids, table.features, strict=True))
        # Of other features nothing is learned: their embeddings would stay as random as they began.
        known = {name for external_id, own in of_ids.items() if external_id in warm for name in own}
        features = {
            external_id: learned
            for external_id, own in of_ids.items()
            if (learned := [name for name in own if name in known])
        }
        id_map: AnyIds = IdMap.build(sorted(warm | features.keys()))
        # Not int64: there are as many of these as interactions when the matrix is made.
        rows = id_map.rows(ids).astype(np.int32)
        names = sorted(known)
        warnings = []
        if table.ids:
            warnings = match_warnings(kind, table, set(ids), other_ids)
            warnings += _left_out(kind, table, warm, featured=set(features), known=known)
        matrix = _feature_matrix(id_map, rows[has_training], features, names)
        return cls(id_map, rows, matrix, names, warnings)


def pair_weights(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    shape: tuple[int, int],
) -> tuple[sp.csr_matrix, NDArray[np.int64]]:
    """Sum the weights of the rows whose user and item are known.

    Args:
        users, items: (n,), rows of the matrix and columns; -1 for what isn't in it.
        weights: (n,).
        shape: of the matrix.

    Returns:
        (users, items) CSR float32, the weights of each pair summed, at most MAX_WEIGHT above or below
        0; and the positions in its data of sums that were larger than that.
    """
    known = (users >= 0) & (items >= 0)
    if not known.all():
        users, items, weights = users[known], items[known], weights[known]
    # Summing here keeps LightFM from doing so in silence, with a shuffle between the duplicates.
    matrix = (_balanced if (weights < 0).any() else _summed)(users, items, weights, shape)
    too_large = np.flatnonzero(np.abs(matrix.data) > MAX_WEIGHT)
    np.clip(matrix.data, -MAX_WEIGHT, MAX_WEIGHT, out=matrix.data)
    return matrix, too_large


def weight_warnings(
    name: str,
    matrix: sp.csr_matrix,
    too_large: NDArray[np.int64],
    users: UserIds,
    items: ItemIds,
    *,
    rows: int,
) -> Iterator[str]:
    """What is odd about `pair_weights` of training interactions of that name, which have `rows`."""
    weights = matrix.data
    if repeated := rows - len(weights):
        yield (
            f"{repeated} of {rows} training interactions repeat a pair of user and item: "
            "their weights are summed"
        )
    if len(too_large):
        position = int(too_large[0])
        user = UserRow(int(np.searchsorted(matrix.indptr, position, side="right")) - 1)
        item = ItemRow(int(matrix.indices[position]))
        yield (
            f"the weights of {len(too_large)} pairs of user and item of {name} sum to more "
            f"than {MAX_WEIGHT:g}, such as those of user {users.external_id(user)!r} and item "
            f"{items.external_id(item)!r}: they count as {MAX_WEIGHT:g}"
        )
    if negative := int((weights <= 0).sum()):
        yield (
            f"{negative} training interactions of {name} have a weight of 0 or less: "
            "they count as seen, but not as positives"
        )


def _left_out(
    kind: str,
    table: FeatureTable,
    warm: set[str],
    *,
    featured: set[str],
    known: set[str],
) -> Iterator[str]:
    """What of a table can't be learned, what lacks in it, and what makes a poor feature.

    `warm` have training interactions, `featured` a feature that one of them has, of which `known` are.
    """
    given, distinct = set(table.ids), {name for own in table.features for name in own}
    if unlearned := len(distinct - known):
        yield (
            f"{unlearned} features of {table.name} are of no {kind} with training interactions: "
            "nothing can be learned of them, so they are left out"
        )
    if cold := len(featured - warm):
        yield (
            f"{cold} {kind}s of {table.name} have no training interactions: "
            "they are published by their features alone"
        )
    if lost := len(given - warm - featured):
        yield note_if_few(
            f"{lost} {kind}s of {table.name} have neither training interactions nor features that "
            "can be learned: they are left out",
            lost,
            len(given),
        )
    if unknown := len(warm - given):
        yield f"{unknown} {kind}s aren't in {table.name}: they have no {what_it_has(table)}"
    if table.columns and len(distinct) > max(1000, len(table.ids) // 2):
        yield (
            f"{table.name} has {len(distinct)} distinct features for {len(table.ids)} {kind}s: "
            "a column of ids or measurements makes a poor feature"
        )


def _feature_matrix(
    id_map: AnyIds, warm: NDArray[np.int32], features: Mapping[str, list[str]], names: list[str]
) -> sp.csr_matrix:
    """(n, n + features): own column of the rows `warm`, then features; each row divided by its number
    of entries, as LightFM's own Dataset does by default."""
    count = len(id_map)
    column = {name: count + position for position, name in enumerate(names)}
    featured = [
        (row, column[name])
        for row, own in zip(id_map.rows(features).tolist(), features.values(), strict=True)
        for name in own
    ]
    pairs = np.array(featured, dtype=np.int32).reshape(-1, 2)
    rows = np.concatenate([warm, pairs[:, 0]])
    # Stable: own columns stay first, and features in their order.
    order = np.argsort(rows, kind="stable")
    indices = np.concatenate([warm, pairs[:, 1]])[order]
    lengths = np.bincount(rows, minlength=count)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    data = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
    return sp.csr_matrix((data, indices, indptr), shape=(count, count + len(names)))


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
