"""How many events a file has, and of which time."""

from __future__ import annotations

from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc


class Held(NamedTuple):
    """How many events a file has, and the oldest and the newest timestamp, infinite for none."""

    events: int = 0
    oldest: float = float("inf")
    newest: float = float("-inf")

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """What a table of events has."""
        if not len(table):
            return cls()
        times = pc.min_max(table["timestamp"]).as_py()
        return cls(len(table), times["min"], times["max"])

    def __add__(self, other: object) -> Held:
        """Of both files together."""
        if not isinstance(other, Held):
            return NotImplemented
        return Held(
            self.events + other.events,
            min(self.oldest, other.oldest),
            max(self.newest, other.newest),
        )
