"""Mapping the arrays of a publication."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lightfm_retriever.files.regular_files import held_open
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError, unreadable


def map_array(path: Path, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Map an array read-only and check it; None in `shape` stands for any length.

    Raises:
        InvalidPublicationError: names the file, and both values where it isn't what it should be.
        VolumeError: it can't be mapped for now.
    """
    try:
        with held_open(path) as name:
            array = np.load(name, mmap_mode="r", allow_pickle=False)
    except MemoryError:
        raise
    except OSError as error:
        raise unreadable(path, error, "can't be mapped: ") from error
    except Exception as error:  # numpy parses the header as Python: what it raises isn't documented
        raise InvalidPublicationError(path, f"isn't a .npy array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise InvalidPublicationError(path, "isn't a single .npy array")
    if array.dtype != np.dtype(dtype):
        raise MismatchError(path, "dtype", expected=np.dtype(dtype), found=array.dtype)
    expected = tuple(
        found if wanted is None else wanted for found, wanted in zip(array.shape, shape, strict=False)
    )
    if len(array.shape) != len(shape) or array.shape != expected:
        raise MismatchError(path, "shape", expected=shape, found=array.shape)
    if not array.flags.c_contiguous:
        raise InvalidPublicationError(path, "is in Fortran order, but should be in C order")
    # A plain ndarray over the same map: indexing a np.memmap costs several times more.
    return array.view(np.ndarray)
