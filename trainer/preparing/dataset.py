"""Build a dataset: id maps and sparse matrices of interactions and features, split into train and test.

Also compute the published orders of items: by external id, which breaks ties, and by popularity.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from numpy.typing import NDArray

from lightfm_retriever.publication.attributes import Column
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.storage.id_map import AnyIds, ItemIds, UserIds
from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.data import lookalikes
from trainer.data.features import FeatureTable
from trainer.data.interactions import Interactions
from trainer.errors import TrainerError
from trainer.notes import note_if_few
from trainer.preparing.matrices import Side, pair_weights, weight_warnings
from trainer.preparing.splits import Split, Splitting

_FIRST = 10


@dataclass(frozen=True)
class Dataset:
    """The data for training and evaluation; all matrices have the rows of the id maps.

    It contains the users and items that the model can learn about. They have a training interaction, or
    a feature of a user or item that has one.

    Attributes:
        name: the name of the source.
        split: how train and test were divided.
        items, users: external id <-> row.
        train: (users, items) CSR float32, the weights of training interactions, duplicates summed.
        test: the same for test interactions, without the pairs in `train`. The positives are evaluated.
        item_features: (items, items + n) CSR float32, rows sum to 1. The first columns are the items'
            own, used by items with training interactions; without any, an own embedding would stay
            random. The features follow.
        user_features: the same for users.
        item_feature_names, user_feature_names: names of the n feature columns.
        item_columns, user_columns: the file columns that the features come from.
        titles: the title of each item; None if there are no titles.
        attributes: of the items, by row.
        warnings: rows left out and suspicious values, one sentence each.
        segment_by: names of attributes of items, or of columns of user features, whose values are
            measured separately.
    """

    name: str
    split: Split
    items: ItemIds
    users: UserIds
    train: sp.csr_matrix
    test: sp.csr_matrix
    item_features: sp.csr_matrix
    user_features: sp.csr_matrix
    item_feature_names: list[str]
    user_feature_names: list[str]
    item_columns: list[str]
    user_columns: list[str]
    titles: list[str] | None
    attributes: list[Column]
    warnings: list[str]
    segment_by: list[str] = field(default_factory=list)

    def seen(self) -> Ragged:
        """Return for each user the ascending item rows of the training interactions, int32."""
        return _rows(self.train)

    def weight(self) -> float:
        """Return the sum of the weights of all positives, of train and test."""
        parts = (self.train.data, self.test.data)
        return float(sum(part[part > 0].sum(dtype=np.float64) for part in parts))

    def popularity(self) -> NDArray[np.int32]:
        """Return for each item the number of users with a positive training interaction, (items,)."""
        positives = self.train.indices[self.train.data > 0]
        return np.bincount(positives, minlength=len(self.items)).astype(np.int32)

    def held_out(self) -> Ragged | None:
        """Return for each user the ascending item rows of the test positives; None without any."""
        positives = _rows(positive_part(self.test))
        return positives if len(positives.values) else None

    def profiles(self) -> Ragged:
        """Return for each user the ascending item rows of the training positives, int32."""
        return _rows(positive_part(self.train))


def build_dataset(
    interactions: Interactions,
    *,
    items: FeatureTable,
    users: FeatureTable,
    splitting: Splitting,
) -> Dataset:
    """Split the interactions and build the matrices.

    Args:
        interactions: in file order.
        items, users: features, titles and attributes; FeatureTable() for none.
        splitting: which interactions become test interactions.

    Raises:
        TrainerError: no training interaction is left, or the split is invalid or needs timestamps.
    """
    is_test = held_out(interactions, splitting)
    item_ids, user_ids = interactions.item_ids, interactions.user_ids
    warnings = [
        *interactions.warnings,
        *items.warnings,
        *users.warnings,
        *lookalikes.warnings_of("item", item_ids, interactions.items, items.ids),
        *lookalikes.warnings_of("user", user_ids, interactions.users, users.ids),
    ]
    item_side = Side.build("item", item_ids, interactions.items[~is_test], items, other_ids=user_ids)
    user_side = Side.build("user", user_ids, interactions.users[~is_test], users, other_ids=item_ids)
    warnings += item_side.warnings + user_side.warnings
    shape = (len(user_side.id_map), len(item_side.id_map))
    (train, too_large), (test, _) = (
        pair_weights(
            user_side.rows[interactions.users[rows]],
            item_side.rows[interactions.items[rows]],
            interactions.weights[rows],
            shape,
        )
        for rows in (~is_test, is_test)
    )
    if is_test.all():
        raise TrainerError(
            f"{interactions.name}: split {splitting.split!r} leaves no interaction for training"
        )
    if not (train.data > 0).any():
        raise TrainerError(
            f"{interactions.name}: no training interaction has a weight above 0: there is no positive"
        )
    sides = user_side.id_map, item_side.id_map
    rows_trained = int((~is_test).sum())
    warnings += weight_warnings(interactions.name, train, too_large, *sides, rows=rows_trained)
    known = test.nnz
    test = _without(test, train)
    twice, total = known - test.nnz, int(is_test.sum())
    indifferent = int((test.data <= 0).sum())
    causes = [
        f"{count} {cause}"
        for count, cause in (
            (twice, "are also in the training data"),
            (indifferent, "have a weight of 0 or less"),
            (
                total - known,
                "repeat others, or are of users or items without a training interaction",
            ),
        )
        if count
    ]
    if lost := total - test.nnz + indifferent:
        text = f"{lost} of {total} test interactions aren't evaluated: {', '.join(causes)}"
        warnings.append(note_if_few(text, lost, total))
    titles, attributes = items.by_row(item_side.id_map)
    return Dataset(
        name=interactions.name,
        split=splitting.split,
        items=item_side.id_map,
        users=user_side.id_map,
        train=train,
        test=test,
        item_features=item_side.features,
        user_features=user_side.features,
        item_feature_names=item_side.feature_names,
        user_feature_names=user_side.feature_names,
        item_columns=items.columns,
        user_columns=users.columns,
        titles=titles,
        attributes=attributes,
        warnings=warnings,
    )


def held_out(interactions: Interactions, splitting: Splitting) -> NDArray[np.bool_]:
    """Return a mask (n,) of the held-out interactions; equal timestamps keep the file order.

    Raises:
        InputError: the split needs timestamps, but there are none.
    """
    split, count, share = splitting.split, splitting.count, splitting.share
    total = len(interactions)
    if split == "random":
        return np.random.default_rng(splitting.seed).random(total) < share
    if split == "first-10":
        return _ranks(interactions.users)[0] < _FIRST
    is_test = np.zeros(total, dtype=bool)
    if split == "none":
        return is_test
    oldest_first = np.argsort(interactions.times_for(f"--split {split}"), kind="stable")
    if split == "time":
        is_test[oldest_first[total - round(share * total) :]] = True
    else:
        ranks, lengths = _ranks(interactions.users[oldest_first])
        is_test[oldest_first] = ranks >= np.maximum(lengths - count, 1)
    return is_test


def id_ranks(ids: AnyIds) -> NDArray[np.int32]:
    """Return the rank of each row's id among all ids in byte order, (n,) int32."""
    # Python's bytes objects would take several times the memory.
    names = pa.chunked_array(
        [
            pa.array([ids.external_id(row).encode() for row in range(rows.start, rows.stop)])
            for rows in row_chunks(len(ids))
        ],
        type=pa.binary(),
    )
    ranks = np.empty(len(ids), dtype=np.int32)
    ranks[pc.sort_indices(names).to_numpy()] = np.arange(len(ids), dtype=np.int32)
    return ranks


def most_popular(popularity: NDArray[np.integer], ranks: NDArray[np.integer]) -> NDArray[np.int32]:
    """Sort all rows (n,) by falling popularity (n,); ties by the ranks of their ids (n,)."""
    return np.lexsort((ranks, -popularity.astype(np.int64))).astype(np.int32)


def seen_popularity(seen: Ragged, items: int) -> NDArray[np.int32]:
    """Return for each item the number of users who have seen it, (items,) int32."""
    return np.bincount(seen.values, minlength=items).astype(np.int32)


def _ranks(users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each row's rank among the rows of its user, and the number of those rows."""
    # A stable sort keeps the order of rows.
    order = np.argsort(users, kind="stable")
    grouped = users[order]
    starts = np.flatnonzero(np.concatenate([[True], grouped[1:] != grouped[:-1]]))
    sizes = np.diff([*starts, len(users)])
    ranks, lengths = np.empty_like(users), np.empty_like(users)
    ranks[order] = np.arange(len(users)) - np.repeat(starts, sizes)
    lengths[order] = np.repeat(sizes, sizes)
    return ranks, lengths


def _without(matrix: sp.csr_matrix, other: sp.csr_matrix) -> sp.csr_matrix:
    """Return the entries of `matrix` that `other` lacks; the indices of `other` must be sorted."""
    if not matrix.nnz or not other.nnz:
        return matrix
    own, taken = _positions(matrix), _positions(other)
    # np.isin would sort millions of entries that are already sorted.
    nearest = np.minimum(np.searchsorted(taken, own), len(taken) - 1)
    kept = taken[nearest] != own
    coo = matrix.tocoo(copy=False)
    return sp.csr_matrix((coo.data[kept], (coo.row[kept], coo.col[kept])), shape=matrix.shape)


def _positions(matrix: sp.csr_matrix) -> NDArray[np.int64]:
    """Return the position of each entry in the flattened matrix."""
    coo = matrix.tocoo(copy=False)
    positions: NDArray[np.int64] = coo.row.astype(np.int64)
    positions *= matrix.shape[1]
    positions += coo.col
    return positions


def positive_part(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Return the entries above 0; the matrix itself if it has no others."""
    if (matrix.data > 0).all():
        return matrix
    positives = matrix.multiply(matrix > 0).tocsr()
    positives.eliminate_zeros()
    return positives


def _rows(matrix: sp.csr_matrix) -> Ragged:
    ordered = matrix.sorted_indices()
    return Ragged(ordered.indptr.astype(np.int64), ordered.indices.astype(np.int32))
