"""Items or users: their rows, and their features as a sparse matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.id_map import AnyIds, IdMap
from trainer.data.features import FeatureTable, match_warnings, what_it_has


@dataclass(frozen=True)
class Side:
    """Items or users: their rows and features."""

    id_map: AnyIds
    # For each distinct id of the interactions its row, -1 when it isn't in the dataset.
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
        has_training = np.zeros(len(ids), dtype=bool)
        has_training[trained] = True
        warm = {external_id for external_id, has in zip(ids, has_training, strict=True) if has}
        of_ids = list(zip(table.ids, table.features, strict=True))
        distinct = {name for _, own in of_ids for name in own}
        # Of other features nothing is learned: their embeddings would stay as random as they began.
        known = {name for external_id, own in of_ids if external_id in warm for name in own}
        features = {external_id: [name for name in own if name in known] for external_id, own in of_ids}
        featured = {external_id for external_id, own in features.items() if own}
        id_map: AnyIds = IdMap.build(sorted(warm | featured))
        # Not int64: there are as many of these as interactions when the matrix is made.
        rows = np.fromiter((_row(id_map, one) for one in ids), dtype=np.int32, count=len(ids))
        names = sorted(known)
        warnings = match_warnings(kind, table, set(ids), others=other_ids, where="in the interactions")
        if unlearned := len(distinct - known):
            warnings.append(
                f"{unlearned} features of {table.name} are of no {kind} with training interactions: "
                "nothing can be learned of them, so they are left out"
            )
        if cold := len(featured - warm):
            warnings.append(
                f"{cold} {kind}s of {table.name} have no training interactions: "
                "they are published by their features alone"
            )
        if lost := len(set(table.ids) - warm - featured):
            warnings.append(
                f"{lost} {kind}s of {table.name} have neither training interactions nor features that "
                "can be learned: they are left out"
            )
        if unknown := len(warm - set(table.ids)) if table.ids else 0:
            warnings.append(
                f"{unknown} {kind}s aren't in {table.name}: they have no {what_it_has(table)}"
            )
        if table.columns and len(distinct) > max(1000, len(table.ids) // 2):
            warnings.append(
                f"{table.name} has {len(distinct)} distinct features for {len(table.ids)} {kind}s: "
                "a column of ids or measurements makes a poor feature"
            )
        matrix = _feature_matrix(id_map, rows[has_training], features, names)
        return cls(id_map, rows, matrix, names, warnings)

    def titles(self, table: FeatureTable) -> list[str] | None:
        """Titles by row."""
        if table.titles is None:
            return None
        titles = [""] * len(self.id_map)
        for external_id, title in zip(table.ids, table.titles, strict=True):
            row = self.id_map.row(external_id)
            if row is not None:
                titles[row] = title
        return titles


def _feature_matrix(
    id_map: AnyIds, warm: NDArray[np.int32], features: Mapping[str, list[str]], names: list[str]
) -> sp.csr_matrix:
    """(n, n + features): own column of the rows `warm`, then features; each row divided by its number
    of entries, as LightFM's own Dataset does by default."""
    count = len(id_map)
    column = {name: count + position for position, name in enumerate(names)}
    featured = [
        (row, column[name])
        for external_id, own in features.items()
        if (row := _row(id_map, external_id)) >= 0
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


def _row(id_map: AnyIds, external_id: str) -> int:
    row = id_map.row(external_id)
    return -1 if row is None else row
