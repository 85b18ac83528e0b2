"""Hold the events of a dataset, split them, and write and read the parts as files."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

# A user with fewer positives stays whole in the training part.
LEAST_POSITIVES = 5
HELD_OUT = 0.2
SEED = 20


@dataclass(frozen=True)
class Events:
    """Distinct pairs of a user and an item.

    Attributes:
        users, items: the ids, sorted.
        user, item: (n,) int32, positions in these.
        weight: (n,) float32, 1 or a count.
        time: (n,) float64, seconds of the first event; NaN without times.
    """

    users: list[str]
    items: list[str]
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    weight: NDArray[np.float32]
    time: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, float, float]], *, counts: bool) -> Events:
        """Merge the rows of a pair. The weight is the sum of the values if they are counts, else 1."""
        pairs: dict[tuple[str, str], tuple[float, float]] = {}
        for user, item, value, time in rows:
            total, first = pairs.get((user, item), (0.0, time))
            pairs[user, item] = (total + value, min(first, time))
        users, items = sorted({user for user, _ in pairs}), sorted({item for _, item in pairs})
        user_rows = {user: row for row, user in enumerate(users)}
        item_rows = {item: row for row, item in enumerate(items)}
        totals = [total if counts else 1.0 for total, _ in pairs.values()]
        return cls(
            users,
            items,
            np.array([user_rows[user] for user, _ in pairs], np.int32),
            np.array([item_rows[item] for _, item in pairs], np.int32),
            np.array(totals, np.float32),
            np.array([time for _, time in pairs.values()], np.float64),
        )

    def only(self, kept: NDArray[np.bool_]) -> Events:
        """Return the events at which `kept` is true, with the same ids."""
        parts = {name: getattr(self, name)[kept] for name in ("user", "item", "weight", "time")}
        return replace(self, **parts)

    def cut(self, most_users: int) -> Events:
        """Return the events of at most this number of users, chosen at random."""
        if len(self.users) <= most_users:
            return self
        chosen = np.random.default_rng(SEED).permutation(len(self.users))[:most_users]
        kept = np.zeros(len(self.users), bool)
        kept[chosen] = True
        part = self.only(kept[self.user])
        names = zip(part.user, part.item, part.weight, part.time, strict=True)
        rows = ((self.users[u], self.items[i], float(w), float(t)) for u, i, w, t in names)
        return Events.of(rows, counts=True)

    def matrix(self) -> sp.csr_matrix:
        """Return the weights as (users, items) float32."""
        where = (self.weight, (self.user, self.item))
        return sp.csr_matrix(where, shape=(len(self.users), len(self.items)), dtype=np.float32)

    def hold_out(self, protocol: str, *, seed: int) -> tuple[Events, Events]:
        """Split into a part to learn from and a part to test.

        Args:
            protocol: "random": of each user with at least 5 events, 20 % chosen at random, rounded,
                are tested. "temporal": the newest 20 % of all events are tested.
            seed: seed of the choice.
        """
        if protocol == "temporal":
            newest = np.argsort(self.time, kind="stable")[round(len(self.user) * (1 - HELD_OUT)) :]
            tested = np.zeros(len(self.user), bool)
            tested[newest] = True
            return self.only(~tested), self.only(tested)
        order = np.random.default_rng(seed).permutation(len(self.user))
        order = order[np.argsort(self.user[order], kind="stable")]
        counts = np.bincount(self.user, minlength=len(self.users))
        wanted = np.where(counts >= LEAST_POSITIVES, np.round(counts * HELD_OUT), 0)
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        tested = np.zeros(len(order), bool)
        tested[order] = place < np.repeat(wanted, counts)
        return self.only(~tested), self.only(tested)

    def write(self, path: Path) -> None:
        """Write the columns user_id, item_id, weight and, if there are times, timestamp."""
        timed = bool(np.isfinite(self.time).all())
        with path.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["user_id", "item_id", "weight", *(["timestamp"] if timed else [])])
            rows = zip(self.user, self.item, self.weight, self.time, strict=True)
            for user, item, weight, time in rows:
                end = [int(time)] if timed else []
                lines.writerow([self.users[user], self.items[item], f"{weight:g}", *end])


def read(path: Path) -> list[tuple[str, str, float, float]]:
    """Read the rows of a file that `Events.write` wrote."""
    with path.open(newline="") as file:
        return [
            (row["user_id"], row["item_id"], float(row["weight"]), float(row.get("timestamp", "nan")))
            for row in csv.DictReader(file)
        ]
