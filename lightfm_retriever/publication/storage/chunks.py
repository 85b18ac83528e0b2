"""Process large arrays some rows at a time, so that intermediate results stay small."""

from __future__ import annotations

from collections.abc import Iterator

# numpy casts numbers in buffers, and sums up a row in parts where a buffer ends. This many rows of any
# length fill whole buffers. So sums are the same to the last bit as over the whole array.
_ROWS = 8192


def row_chunks(count: int, rows: int = _ROWS) -> Iterator[slice]:
    """Yield slices of at most `rows` rows that cover 0..count - 1 in order."""
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))
