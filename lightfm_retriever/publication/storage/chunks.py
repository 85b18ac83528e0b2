"""Large arrays, some rows at a time, so that what is made of them on the way stays small."""

from __future__ import annotations

from collections.abc import Iterator

# Of rows of any length a multiple of the numbers that numpy casts at a time. So sums over a row, which
# it adds up in parts where such a buffer ends, are the same to the last bit as over the whole array.
_ROWS = 8192


def row_chunks(count: int, rows: int = _ROWS) -> Iterator[slice]:
    """Slices of at most so many rows that cover 0..count - 1 in order; of none, none."""
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))
