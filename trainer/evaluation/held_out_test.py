"""The test of a model: held-out items of users, the items they have seen, and a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.id_map import AnyIds
from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.index.exact import sample

if TYPE_CHECKING:
    import scipy.sparse as sp

# Each evaluated user is scored against all items, so the number is limited.
MAX_USERS = 10_000


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of the test that is measured separately: some users, or some items.

    Attributes:
        by: the criterion, such as "user_activity" or the name of an attribute.
        value: the part, such as "low".
        rule: the meaning of the value, in words.
        users: (users,) whether a user belongs to it; None if it consists of items.
        items: (items,) whether an item belongs to it; None if it consists of users.
    """

    by: str
    value: str
    rule: str
    users: NDArray[np.bool_] | None = None
    items: NDArray[np.bool_] | None = None


@dataclass(frozen=True, kw_only=True)
class HeldOutTest:
    """The test that any model can take; rows are those of the id maps.

    Attributes:
        seen: for each user the ascending rows of the items that aren't recommended again.
        held_out: for each user the ascending rows of the positives, none of which is seen.
        popularity: (items,) the number of users with a positive training interaction.
        ties: (items,) the order of items with equal scores; None for the order of rows.
        segments: the parts to measure separately.
    """

    seen: Ragged
    held_out: Ragged
    popularity: NDArray[np.integer]
    ties: NDArray[np.integer] | None = None
    segments: Sequence[Segment] = ()

    @property
    def interactions(self) -> sp.csr_matrix:
        """Return the seen items as a matrix (users, items) of ones."""
        import scipy.sparse as sp

        rows = self.seen
        ones = np.ones(len(rows.values), dtype=np.float32)
        return sp.csr_matrix((ones, rows.values, rows.offsets), shape=(len(rows), len(self.popularity)))

    @property
    def trained_users(self) -> int:
        """Return the number of users with a seen item."""
        return int((np.diff(self.seen.offsets) > 0).sum())

    def users(self, *, seed: int) -> NDArray[np.int64]:
        """Return the ascending rows of the evaluated users: those with a positive, or a sample."""
        return with_positives(self.held_out, seed=seed)


def with_positives(held_out: Ragged, *, seed: int = 42) -> NDArray[np.int64]:
    """Return the ascending rows of users with a held-out item, or a sample of MAX_USERS."""
    rows: NDArray[np.int64] = np.flatnonzero(np.diff(held_out.offsets))
    return rows[sample(len(rows), MAX_USERS, seed=seed)]


def rows_of(of: Ragged, rows: NDArray[np.integer]) -> Ragged:
    """Return the given rows (n,) in the given order, as n rows."""
    return joined([of[row] for row in rows.tolist()])


def joined(rows: Sequence[NDArray[np.integer]]) -> Ragged:
    """Make rows of int32 from an array for each."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Ragged(offsets, np.concatenate([np.empty(0, dtype=np.int32), *rows]).astype(np.int32))


def fingerprint(items: AnyIds, users: AnyIds, held_out: Ragged, evaluated: NDArray[np.integer]) -> str:
    """Return the SHA-256 (hex) of the external ids of evaluated users and of their positives.

    Two models took the same test if the fingerprints are equal. Rows, splits and seeds don't count,
    only the pairs that they lead to.
    """
    names: dict[int, str] = {}
    lines = []
    for user in evaluated.tolist():
        own = []
        for row in held_out[user].tolist():
            if row not in names:
                names[row] = items.external_id(row)
            own.append(names[row])
        lines.append(json.dumps([users.external_id(user), sorted(own)]))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
