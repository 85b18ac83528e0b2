"""Collects factors as vectors by row, without holding them all in memory."""

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

# After this many bytes of written pages, release them from this process. Neighbouring rows are in
# different parts, so each row has its own page.
_WINDOW_BYTES = 32 << 20
# Length of the vector of a row without a factor, relative to the mean's length.
_SHORT = 1e-3


def collect(
    exchange: Exchange, part: str, path: Path, *, parts: int, rows: int, rank: int
) -> tuple[Float32Array, NDArray[np.int64]]:
    """Copy all parts of factors into a .npy file at `path`, in batches of rows.

    Rows without a factor get the direction of the mean of all factors, so they resemble what most users
    like. They get a thousandth of its length, so that they rank below the other rows.

    Returns:
        The vectors, (rows, rank + 1) float32, as a memory map, whose last column (the bias) is 0. And
        the numbers of the rows without a factor, ascending, (n,) int64.

    Raises:
        SparkError: a factor isn't finite or is too long to serve, or Spark gave no factor.
    """
    vectors = open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, rank + 1))
    has = np.zeros(rows, dtype=bool)
    total = np.zeros(rank, dtype=np.float64)
    pending = 0
    for ids, factors in _factors(exchange, part, parts, rank):
        squares = squared_norms(factors)
        # `not all(<=)` instead of `any(>)`, so that NaN fails.
        if not (squares <= LONGEST**2).all():
            raise SparkError(
                f"ALS diverged: not every factor of {part} is finite and at most {LONGEST:g} long; "
                "raise --als-regularization or lower --als-alpha, and check the interactions' weights "
                "if --sample-weights is set"
            )
        vectors[ids, :rank] = factors
        # A factor of zeros, or nearly zeros, has no direction, so it counts as missing.
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
    """Release written pages to the kernel's cache, so that this process doesn't hold them."""
    base = vectors.base
    assert isinstance(base, mmap.mmap)  # noqa: S101 - what NumPy maps files with
    base.madvise(mmap.MADV_DONTNEED)
