"""Map the arrays of a version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lightfm_retriever.files.regular_files import held_open
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError, unreadable
from lightfm_retriever.publication.layout import FILES


def map_array(path: Path, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Map an array read-only and check it; None in `shape` stands for any length.

    Raises:
        InvalidPublicationError: the file isn't such an array.
        VolumeError: the file can't be mapped now.
    """
    try:
        with held_open(path) as name:
            array = np.load(name, mmap_mode="r", allow_pickle=False)
    except MemoryError:
        raise
    except OSError as error:
        raise unreadable(path, error, "can't be mapped: ") from error
    except Exception as error:  # numpy parses the header as Python; its errors aren't documented
        raise InvalidPublicationError(path, f"isn't a .npy array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise InvalidPublicationError(path, "isn't a single .npy array")
    check_kind(path, array, dtype, shape)
    if not array.flags.c_contiguous:
        raise InvalidPublicationError(path, "is in Fortran order, but should be in C order")
    # A plain ndarray over the same map: indexing a np.memmap costs several times more.
    return array.view(np.ndarray)


def map_file(path: Path, sizes: Mapping[str, int]) -> NDArray[Any]:
    """Map an array of a version by its entry in `layout.FILES`. Raises the errors of `map_array`."""
    spec = FILES[path.name]
    return map_array(path, spec.dtype, spec.lengths(sizes))


def check_kind(
    path: Path | str, array: NDArray[Any], dtype: DTypeLike, shape: tuple[int | None, ...]
) -> None:
    """Raise MismatchError for an array of another type or shape; None stands for any length."""
    if array.dtype != np.dtype(dtype):
        raise MismatchError(path, "dtype", expected=np.dtype(dtype), found=array.dtype)
    pairs = zip(array.shape, shape, strict=False)
    lengths = tuple(found if wanted is None else wanted for found, wanted in pairs)
    if array.ndim != len(shape) or array.shape != lengths:
        raise MismatchError(path, "shape", expected=shape, found=array.shape)
