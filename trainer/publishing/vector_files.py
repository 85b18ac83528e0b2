"""Read files of ids and vectors, of items or users, and bring them into the order of the id map."""

from __future__ import annotations

import codecs
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import held_open, read_regular
from lightfm_retriever.publication.errors import InvalidIdError
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.storage.id_map import AnyIds, IdMap, check_id
from lightfm_retriever.publication.vectors.vector_space import (
    LONGEST,
    SHORTEST,
    Float32Array,
    fold_biases,
    squared_norms,
)
from trainer.data import lookalikes
from trainer.data.files import file_kinds
from trainer.errors import InputError

_SNIFFED_BYTES = 1 << 16
_FINE = "is the file damaged, or the model? Lengths around 1 are fine"
_TOO_LARGE = f"their scores could exceed float32; {_FINE}"
_TOO_SHORT = f"shorter than {SHORTEST:g}"
_VANISH = f"their squares vanish in float32, and so does their direction; {_FINE}"


class VectorSide:
    """Items or users: their ids, vectors (n, d) and biases (n,), in the order of the files.

    Attributes:
        ids: the id map.
        ids_path: the file of ids.
        components: d.
        warnings: what looks wrong with the ids, one sentence each.

    Raises:
        InputError: names the file and the wrong row.
    """

    def __init__(
        self,
        vectors_path: Path,
        ids_path: Path,
        biases_path: Path | None,
        *,
        kind: str = "item",
        components: int | None = None,
    ) -> None:
        self._vectors_path, self.ids_path = vectors_path, ids_path
        self.ids, self._rows, self.warnings = _read_ids(ids_path, kind)
        self._vectors = _map_array(vectors_path, dimensions=2)
        count = len(self._rows)
        if len(self._vectors) != count:
            reason = f"has {len(self._vectors)} vectors, but {ids_path} has {count} ids"
            raise InputError(vectors_path, reason)
        self.components = self._vectors.shape[1]
        if self.components < 1:
            raise InputError(vectors_path, "has vectors of no dimensions")
        if components not in (None, self.components):
            reason = f"has vectors of {self.components} dimensions, but item vectors have {components}"
            raise InputError(vectors_path, reason)
        self._squares = _squared_lengths(self._vectors)
        # The square of a number that isn't finite isn't finite either.
        _check_finite(vectors_path, np.isfinite(self._squares))
        self._refuse(self._squares > LONGEST**2, f"longer than {LONGEST:g}", _TOO_LARGE)
        self._biases: NDArray[Any] = np.zeros(count, dtype=np.float32)
        if biases_path is not None:
            self._biases = _read_biases(biases_path, vectors_path, count)

    @property
    def first_id(self) -> str:
        """Return the id in the first line."""
        return str(self.ids.external_id(int(self._rows[0])))

    def check_directions(self) -> None:
        """Raise InputError for vectors without a direction: of length 0 or nearly 0."""
        reason = "a zero vector has no direction, and so no similar items; leave these items out"
        self._refuse(self._squares == 0, "zero", reason)
        self._refuse(self._squares < SHORTEST**2, _TOO_SHORT, _VANISH)

    def check_most_directions(self) -> list[str]:
        """Raise InputError if all vectors except zero vectors are too short; warn if some are."""
        zero = self._squares == 0
        short = (self._squares < SHORTEST**2) & ~zero
        if zero[~short].all():
            self._refuse(short, _TOO_SHORT, _VANISH)
        return [
            f"{self._told(bad, problem)}: {what}"
            for bad, problem, what in (
                (zero, "zero", "all of these users get the items with the largest biases"),
                (short, _TOO_SHORT, "the recommendations for these users are only rounding errors"),
            )
            if bad.any()
        ]

    def _refuse(self, bad: NDArray[np.bool_], problem: str, reason: str) -> None:
        if bad.any():
            raise InputError(self._vectors_path, f"{self._told(bad, problem)}: {reason}")

    def _told(self, bad: NDArray[np.bool_], problem: str) -> str:
        """Say how many vectors are bad, and name the first one by its id and its row in the id file."""
        first = int(bad.argmax())
        external_id = self.ids.external_id(int(self._rows[first]))
        length = float(np.sqrt(self._squares[first]))
        return (
            f"{int(bad.sum())} of {len(bad)} vectors are {problem}; the first is that of row "
            f"{first + 1} in {self.ids_path}, {external_id!r}, with a length of {length:.3g}"
        )

    def by_row(self, scratch: Path) -> Float32Array:
        """Return vectors with their biases (n, d + 1) in the order of the id map.

        They are mapped from a file in `scratch`; raises OSError if it can't be written.
        """
        count = len(self._rows)
        order = np.empty(count, dtype=np.int32)
        order[self._rows] = np.arange(count, dtype=np.int32)
        with tempfile.TemporaryFile(dir=scratch) as file:
            for rows in row_chunks(count):
                chosen = order[rows]
                vectors, biases = (_float32(of[chosen]) for of in (self._vectors, self._biases))
                file.write(fold_biases(vectors, biases).tobytes())
            file.flush()
            shape = (count, self.components + 1)
            # View the map as a plain ndarray: indexing a np.memmap takes several times longer.
            return np.memmap(file, dtype=np.float32, mode="r", shape=shape).view(np.ndarray)


def _read_ids(path: Path, kind: str) -> tuple[AnyIds, NDArray[np.int32], list[str]]:
    """Return the id map of a file, the row of each line's id (n,), and warnings about the ids."""
    try:
        content = read_regular(path)
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from error
    if problem := file_kinds.problem(content[:_SNIFFED_BYTES], by_name=False):
        raise InputError(path, f"isn't UTF-8: {problem}")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        what, hint = file_kinds.bad_byte(error), file_kinds.how_to_convert(error)
        row = content.count(b"\n", 0, error.start) + 1
        raise InputError(path, f"isn't UTF-8: it holds {what}: {hint}", row=row) from error
    if not content:
        raise InputError(path, "the file is empty")
    ids: AnyIds = IdMap.build(_checked(path, content))
    rows = np.fromiter((ids.row(line) for line in _lines(content)), dtype=np.int32)
    if len(ids) < len(rows):
        by_row = np.argsort(rows, kind="stable")
        again = rows[by_row[1:]] == rows[by_row[:-1]]
        position = int(by_row[1:][again].min())
        first = int((rows == rows[position]).argmax())
        external_id = ids.external_id(int(rows[position]))
        raise InputError(path, f"id {external_id!r} is also in row {first + 1}", row=position + 1)
    return ids, rows, lookalikes.missing_of(kind, _line_array(content))


def _line_array(content: bytes) -> pa.Array:
    """Return the same lines as `_lines`, without one Python object for each."""
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n")) + 1
    offsets = np.unique(np.concatenate([[0], ends, [len(content)]])).astype(np.int64)
    buffers = [pa.py_buffer(own) for own in (offsets, content)]
    lines = pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers)
    return pc.utf8_rtrim(lines, "\r\n")


def _lines(content: bytes) -> Iterator[str]:
    # splitlines would also split at characters that an id may hold.
    for line in io.BytesIO(content):
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode()


def _checked(path: Path, content: bytes) -> Iterator[str]:
    """Yield the ids; raises InputError, which names the row, for an invalid one."""
    for row, line in enumerate(_lines(content), start=1):
        try:
            yield check_id(line)
        except InvalidIdError as error:
            raise InputError(path, str(error), row=row) from error


def _map_array(path: Path, *, dimensions: int) -> NDArray[Any]:
    try:
        with held_open(path) as name:
            array = np.load(name, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from error
    except Exception as error:  # numpy parses the header as Python: what it raises isn't documented
        # For other files the message of NumPy is about pickles.
        is_array = read_regular(path, max_bytes=6) == b"\x93NUMPY"
        reason = str(error) if is_array else "write it with numpy.save"
        raise InputError(path, f"isn't a .npy array: {reason}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(path, "is an archive of arrays, but should be a single .npy array")
    if array.ndim != dimensions:
        raise InputError(path, f"has shape {array.shape}, but should have {dimensions} dimension(s)")
    if array.dtype.kind not in "fiu":
        raise InputError(path, f"holds {array.dtype}, but should hold numbers")
    return array


def _float32(array: NDArray[Any]) -> Float32Array:
    with np.errstate(over="ignore"):
        result: Float32Array = np.ascontiguousarray(array, dtype=np.float32)
    return result


def _squared_lengths(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Return the squared lengths (n,) of vectors (n, d) as float32."""
    squares = np.empty(len(vectors))
    for rows in row_chunks(len(vectors)):
        squares[rows] = squared_norms(_float32(vectors[rows]))
    return squares


def _read_biases(path: Path, vectors_path: Path, count: int) -> NDArray[Any]:
    biases = _map_array(path, dimensions=1)
    if len(biases) != count:
        raise InputError(path, f"has {len(biases)} biases, but {vectors_path} has {count} vectors")
    sizes = np.abs(_float32(biases))
    _check_finite(path, np.isfinite(sizes))
    if (large := sizes > LONGEST).any():
        first = int(large.argmax())
        raise InputError(
            path,
            f"{int(large.sum())} of {count} biases are beyond {LONGEST:g}; the first is row {first}, "
            f"counted from 0, with {float(biases[first]):g}: {_TOO_LARGE}",
        )
    return biases


def _check_finite(path: Path, finite: NDArray[np.bool_]) -> None:
    """Raise InputError for rows or numbers that aren't finite as float32."""
    if not finite.all():
        raise InputError(
            path,
            f"{int((~finite).sum())} of {len(finite)} rows aren't finite as float32; the first is row "
            f"{int(finite.argmin())}, counted from 0",
        )
