"""Rows of different lengths in two arrays: offsets and values.

Row r is `values[offsets[r]:offsets[r + 1]]`. Both arrays are plain .npy files, so that they can be
memory-mapped. Examples are the seen items of users and the titles of items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ragged:
    """Offsets (rows + 1,) int64, which start at 0 and never decrease, and values (offsets[-1],)."""

    offsets: NDArray[np.int64]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        """Return the values of one row, as a view."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def owners(self) -> NDArray[np.int64]:
        """The row of each value."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def problem(self) -> str | None:
        """Return what is wrong with the offsets, None if nothing is. Reads all of them."""
        offsets = self.offsets
        if offsets[0] != 0 or offsets[-1] != len(self.values):
            return f"run from {offsets[0]} to {offsets[-1]}, not from 0 to {len(self.values)}"
        return "decrease" if np.any(offsets[1:] < offsets[:-1]) else None

    def first_not_ascending(self, *, chunk: int = 1 << 16) -> int | None:
        """Return the first row whose values don't ascend strictly, None if all do.

        Reads `chunk` values at a time. The offsets must have no `problem`.
        """
        for start in range(0, len(self.values) - 1, chunk):
            values = self.values[start : start + chunk + 1]
            places = start + 1 + np.flatnonzero(values[1:] <= values[:-1])
            rows = np.searchsorted(self.offsets, places, side="right") - 1
            # At the beginning of a row, the value before belongs to another row.
            inside = self.offsets[rows] != places
            if inside.any():
                return int(rows[inside.argmax()])
        return None


def are_among(rows: NDArray[np.integer], ascending: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return for each row (n,) whether it is among other rows, which must ascend strictly."""
    if not len(ascending):
        return np.zeros(len(rows), dtype=bool)
    # Convert to the same type; otherwise numpy would convert all the others.
    places = ascending.searchsorted(rows.astype(ascending.dtype, copy=False))
    found: NDArray[np.bool_] = ascending.take(places, mode="clip") == rows
    return found


def empty(rows: int) -> Ragged:
    """Make rows without values."""
    return Ragged(np.zeros(rows + 1, dtype=np.int64), np.empty(0, dtype=np.int32))


def of_owners(owners: NDArray[np.int64], values: NDArray[Any], rows: int) -> Ragged:
    """Make rows of int32 from values that are sorted by owner; each owner is a row."""
    return Ragged(_offsets(np.bincount(owners, minlength=rows)), values.astype(np.int32))


def of_pairs(owners: NDArray[np.int64], values: NDArray[Any], rows: int) -> Ragged:
    """Make rows with the distinct values of each owner, ascending; values are 0 or more."""
    width = 1 + int(values.max(initial=0))
    return of_owners(*np.divmod(np.unique(owners * width + values), width), rows)


def from_texts(texts: Iterable[str]) -> Ragged:
    """Make rows of UTF-8 bytes (uint8) from texts."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    values = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return Ragged(_offsets([len(text) for text in encoded]), values)


def text(column: Ragged, row: int) -> str:
    """Return the text of one row; the inverse of `from_texts`."""
    return column[row].tobytes().decode("utf-8", "replace")


def _offsets(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
