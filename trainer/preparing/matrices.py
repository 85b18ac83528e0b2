"""Build the matrices of a dataset: item features, user features, and weights of pairs."""

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

# What rounding may leave of weights that cancel, relative to the sum of their absolute values.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Side:
    """Items or users: their rows, and their features as a sparse matrix.

    Attributes:
        id_map: external id <-> row.
        rows: the row of each distinct id of the interactions, -1 if the dataset lacks it.
        features: see Dataset.item_features.
        feature_names: names of the feature columns.
        warnings: rows left out and suspicious values, one sentence each.
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
        """Give rows to the items or users that the model can learn about.

        Args:
            kind: "item" or "user".
            ids: distinct external ids of the interactions.
            trained: the positions in `ids` of the training interactions.
            table: the features.
            other_ids: the external ids of the other side.

        Raises:
            InputError: the interactions have none of the table's ids.
        """
        has_training = np.zeros(len(ids), dtype=bool)
        has_training[trained] = True
        warm = {external_id for external_id, has in zip(ids, has_training, strict=True) if has}
        of_ids = dict(zip(table.ids, table.features, strict=True))
        # The model learns nothing about other features: their embeddings would stay random.
        known = {name for external_id, own in of_ids.items() if external_id in warm for name in own}
        features = {
            external_id: learned
            for external_id, own in of_ids.items()
            if (learned := [name for name in own if name in known])
        }
        id_map: AnyIds = IdMap.build(sorted(warm | features.keys()))
        # int32 saves memory: the matrix is made from one of these for each interaction.
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
    """Sum the weights of each pair of user and item.

    Args:
        users, items: (n,), matrix rows and columns; -1 for an unknown user or item.
        weights: (n,).
        shape: the shape of the matrix.

    Returns:
        (users, items) CSR float32, the summed weights, limited to MAX_WEIGHT above or below 0; and the
        positions in its data of the sums that exceeded this limit.
    """
    known = (users >= 0) & (items >= 0)
    if not known.all():
        users, items, weights = users[known], items[known], weights[known]
    # Otherwise LightFM would sum duplicates silently, after a shuffle.
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
    """Yield warnings about the result of `pair_weights` for `rows` training interactions."""
    weights = matrix.data
    if repeated := rows - len(weights):
        yield (
            f"{repeated} of {rows} training interactions repeat a pair of user and item: "
            "the weights are summed"
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
    """Yield warnings about features that can't be learned, missing rows, and poor features.

    `warm` are the ids with training interactions, `known` the features of these, and `featured` the ids
    that have a known feature.
    """
    given, distinct = set(table.ids), {name for own in table.features for name in own}
    if unlearned := len(distinct - known):
        yield (
            f"{unlearned} features of {table.name} belong to no {kind} with training interactions: "
            "the model can't learn them, so they are left out"
        )
    if cold := len(featured - warm):
        yield (
            f"{cold} {kind}s of {table.name} have no training interactions: "
            "their vectors come from their features alone"
        )
    if lost := len(given - warm - featured):
        yield note_if_few(
            f"{lost} {kind}s of {table.name} have neither training interactions nor features that "
            "the model can learn: they are left out",
            lost,
            len(given),
        )
    if unknown := len(warm - given):
        yield f"{unknown} {kind}s aren't in {table.name}: they have no {what_it_has(table)}"
    if table.columns and len(distinct) > max(1000, len(table.ids) // 2):
        yield (
            f"{table.name} has {len(distinct)} distinct features for {len(table.ids)} {kind}s: "
            "a column of ids or measurements makes a poor feature; leave it out"
        )


def _feature_matrix(
    id_map: AnyIds, warm: NDArray[np.int32], features: Mapping[str, list[str]], names: list[str]
) -> sp.csr_matrix:
    """Build a feature matrix (n, n + features): own columns of the rows `warm`, then features.

    Each row is divided by its number of entries, as by default in LightFM's Dataset.
    """
    count = len(id_map)
    column = {name: count + position for position, name in enumerate(names)}
    featured = [
        (row, column[name])
        for row, own in zip(id_map.rows(features).tolist(), features.values(), strict=True)
        for name in own
    ]
    pairs = np.array(featured, dtype=np.int32).reshape(-1, 2)
    rows = np.concatenate([warm, pairs[:, 0]])
    # A stable sort keeps own columns first, and features in order.
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
    """Sum weights of both signs; weights that cancel give exactly 0, so rounding makes no positive."""
    matrix = _summed(users, items, weights.astype(np.float64), shape)
    if matrix.nnz < len(weights):
        sizes = _summed(users, items, np.abs(weights).astype(np.float64), shape)
        matrix.data[np.abs(matrix.data) <= sizes.data * _ROUNDING] = 0
    matrix.data = weights_as_float32(matrix.data)
    return matrix
