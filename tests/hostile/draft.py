"""An input in the making: tables of a good data set, what is done to them, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tests.hostile.good import Good, Table

ONE, FEW, PERCENT, HALF, ALL = "one", "few", "percent", "half", "all"
SHARES = (ALL, HALF, PERCENT, FEW, ONE)
"""How many rows are damaged, the plainest first: each kind is tried once with the first of all."""

Reshape: TypeAlias = "Callable[[pa.Table], list[pa.Table]]"
"""Makes the parts of a Parquet folder, or the only part of a Parquet file, of a table."""

LOG, GOODS, PEOPLE = "log", "goods", "people"
"""The three tables. Their files are named so, since no message can say these words by chance."""


@dataclass
class Vectors:
    """Vectors of some model, with their biases: what `publish` takes, by side."""

    vectors: NDArray[Any]
    biases: NDArray[Any] | None
    ids: list[str]


@dataclass
class Draft:
    """What is written for a run; damages change it.

    Attributes:
        source: how it is written; see `writing`.
        recipes: names of `good.RECIPES`.
        history: interactions in a file beside the event log; None for none.
        reshape: what is done to a table before it is written as Parquet.
        rewrite: what is done to a file's bytes, of the table's first file.
        suffix: of the files, where it isn't the source's own.
        sides: vectors of items and users, for `publish`.
        held_out: interactions that `publish` evaluates on.
        extra: files beside those of a Parquet folder, by name.
    """

    source: str
    style: str
    random: np.random.Generator
    tables: dict[str, Table]
    recipes: list[str]
    history: Table | None = None
    reshape: dict[str, list[Reshape]] = field(default_factory=dict)
    rewrite: dict[str, list[Callable[[bytes], bytes]]] = field(default_factory=dict)
    suffix: str | None = None
    sides: dict[str, Vectors] = field(default_factory=dict)
    held_out: Table = field(default_factory=dict)
    extra: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, good: Good, source: str, *, seed: int) -> Draft:
        tables = {LOG: good.interactions, GOODS: good.items, PEOPLE: good.users}
        # Damages change columns in place, but no value in them.
        own = {name: copied(table) for name, table in tables.items()}
        return cls(source, good.style, np.random.default_rng(seed), own, [])

    @property
    def log(self) -> Table:
        return self.tables[LOG]

    def rows(self, share: str, *, table: str = LOG) -> list[int]:
        count = len(next(iter(self.tables[table].values())))
        wanted = {ONE: 1, FEW: 3, PERCENT: max(1, count // 100), HALF: count // 2, ALL: count}[share]
        return sorted(self.random.choice(count, min(wanted, count), replace=False).tolist())

    def change(
        self, column: str, share: str, change: Callable[[Any], Any], *, table: str = LOG
    ) -> None:
        values = self.tables[table][column]
        for row in self.rows(share, table=table):
            values[row] = change(values[row])

    def keep(self, rows: Sequence[int], *, table: str = LOG) -> None:
        own = self.tables[table]
        self.tables[table] = {name: [values[row] for row in rows] for name, values in own.items()}

    def as_arrow(self, reshape: Reshape, *, table: str = LOG) -> None:
        self.reshape.setdefault(table, []).append(reshape)

    def as_bytes(self, rewrite: Callable[[bytes], bytes], *, table: str = LOG) -> None:
        self.rewrite.setdefault(table, []).append(rewrite)


def copied(table: Table) -> Table:
    return {name: [*values] for name, values in table.items()}


def split(table: pa.Table, change: Callable[[pa.Table], pa.Table], parts: str) -> list[pa.Table]:
    if parts == ALL:
        return [change(table)]
    third = len(table) // 3
    return [table.slice(0, third), table.slice(third, third), change(table.slice(2 * third))]
