"""Factors as vectors by row, without any array of theirs in memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from lightfm_retriever.publication.vectors.vector_space import (
    LONGEST,
    SHORTEST,
    Float32Array,
    squared_norms,
)
from trainer.errors import SparkError
from trainer.spark.exchange import Exchange

# So many bytes of pages are written before they may go from this process. Neighbouring rows are in
# different parts, so each row has a page of its own.
_WINDOW_BYTES = 32 << 20
# Of the vector that stands for one without a factor, to the length of the mean.
_SHORT = 1e-3


def collect(
    exchange: Exchange, part: str, path: Path, *, parts: int, rows: int, rank: int
) -> tuple[Float32Array, NDArray[np.int64]]:
    """Copy all parts of factors into a .npy file at `path`, some rows at a time.

    Rows without a factor get the direction of the mean of all, which has something in common with
    what everybody likes, and a thousandth of its length, so that it beats nothing.

    Returns:
        Vectors (rows, rank + 1) float32, mapped, whose last column, the bias, is 0; and the rows
        without a factor, ascending.

    Raises:
        SparkError: a factor isn't finite or too long to be served, or none is there.
    """
    vectors = open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, rank + 1))
    has = np.zeros(rows, dtype=bool)
    total = np.zeros(rank, dtype=np.float64)
    pending = 0
    for ids, factors in _factors(exchange, part, parts, rank):
        squares = squared_norms(factors)
        # Written so that NaN doesn't pass.
        if not (squares <= LONGEST**2).all():
            raise SparkError(
                f"ALS diverged: not every factor of {part} is finite and at most {LONGEST:g} long; "
                "raise --als-regularization or lower --als-alpha, and check the interactions' weights "
                "if --sample-weights is set"
            )
        vectors[ids, :rank] = factors
        # A factor of zeros has no direction, and says nothing of its row; nor has one of nearly zeros.
        has[ids] = squares >= SHORTEST**2
        total += factors[has[ids]].sum(axis=0, dtype=np.float64)
        pending += factors.nbytes + len(ids) * mmap.PAGESIZE
        if pending > _WINDOW_BYTES:
            _let_go(vectors)
            pending = 0
    missing = np.flatnonzero(~has)
    if len(missing) == rows:
        raise SparkError(f"Spark gave no factor of {part}")
    if len(missing):
        vectors[missing, :rank] = (_SHORT * total / (rows - len(missing))).astype(np.float32)
    vectors.flush()
    _let_go(vectors)
    return np.load(path, mmap_mode="r"), missing


def _factors(
    exchange: Exchange, part: str, parts: int, rank: int
) -> Iterator[tuple[NDArray[np.int32], Float32Array]]:
    for number in range(parts):
        for batch in exchange.read(f"{part}/{number}"):
            values = batch.column("features").flatten().to_numpy()
            yield batch.column("id").to_numpy(), values.reshape(batch.num_rows, rank)


def _let_go(vectors: Float32Array) -> None:
    """Leave the pages that were written to the kernel's cache: they would count as this process's."""
    base = vectors.base
    assert isinstance(base, mmap.mmap)  # noqa: S101 - what NumPy maps files with
    base.madvise(mmap.MADV_DONTNEED)
