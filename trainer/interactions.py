"""Interactions: who did what, how strongly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainer import tables


@dataclass(frozen=True)
class Interactions:
    """Interactions in file order; n rows.

    Attributes:
        name: where they come from.
        user_ids, item_ids: the distinct external ids, in order of first appearance.
        users, items: (n,) int64, positions in user_ids and item_ids.
        weights: (n,) float32, finite; 1 where the file has no weights. Values <= 0 are no positives.
    """

    name: str
    user_ids: list[str]
    item_ids: list[str]
    users: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.users)


def read_interactions(path: Path) -> Interactions:
    """Read columns user_id, item_id and, where there is one, weight. Others are ignored.

    Raises:
        InputError: names the file and the column or row.
    """
    table = tables.read_table(path, required=["user_id", "item_id"], optional=["weight"])
    return from_table(path, table, name=path.name)


def from_table(path: Path, table: pa.Table, *, name: str) -> Interactions:
    """Interactions of a table that was read from `path`; raises as `read_interactions`."""
    user_ids, users = tables.ids(path, table, "user_id")
    item_ids, items = tables.ids(path, table, "item_id")
    if "weight" in table.column_names:
        weights = tables.numbers(path, table, "weight")
    else:
        weights = np.ones(table.num_rows, dtype=np.float32)
    return Interactions(name, user_ids, item_ids, users, items, weights)
