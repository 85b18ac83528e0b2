"""Files of ids and vectors, of items or of users, mapped and brought into the order of the id map."""

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

from publication.chunks import row_chunks
from publication.errors import InvalidIdError
from publication.id_map import IdMap, check_id
from publication.ranking import row_norms
from publication.vector_space import Float32Array, fold_biases
from trainer import file_kinds, lookalikes
from trainer.errors import InputError

_SNIFFED_BYTES = 1 << 16


class Side:
    """Items or users: their ids, and their vectors (n, d) and biases (n,) in the order of the files.

    Attributes:
        ids: the map of their ids.
        components: d.
        warnings: what looks wrong with the ids, in sentences.
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
        self._vectors_path, self._ids_path = vectors_path, ids_path
        self.ids, self._rows, self.warnings = _read_ids(ids_path, kind)
        self._vectors = _map_array(vectors_path, dimensions=2)
        count = len(self._rows)
        if len(self._vectors) != count:
            raise InputError(
                vectors_path, f"has {len(self._vectors)} vectors, but {ids_path} has {count} ids"
            )
        self.components = self._vectors.shape[1]
        if self.components < 1:
            raise InputError(vectors_path, "has vectors of no dimensions")
        if components is not None and self.components != components:
            raise InputError(
                vectors_path,
                f"has vectors of {self.components} dimensions, the items' have {components}",
            )
        _check_finite(vectors_path, self._vectors)
        self._biases: NDArray[Any] = np.zeros(count, dtype=np.float32)
        if biases_path is not None:
            self._biases = _map_array(biases_path, dimensions=1)
            if len(self._biases) != count:
                raise InputError(
                    biases_path,
                    f"has {len(self._biases)} biases, but {vectors_path} has {count} vectors",
                )
            _check_finite(biases_path, self._biases)

    def check_directions(self) -> None:
        """Raise InputError for vectors of length 0."""
        zero = np.zeros(len(self._vectors), dtype=bool)
        for rows in row_chunks(len(zero)):
            zero[rows] = row_norms(_float32(self._vectors[rows])) == 0
        if zero.any():
            raise InputError(
                self._vectors_path,
                f"{int(zero.sum())} of {len(zero)} item vectors are zero, the first is that of row "
                f"{int(zero.argmax()) + 1} in {self._ids_path}: a zero vector has no direction and so "
                "no similar items; leave these items out",
            )

    def by_row(self, scratch: Path) -> Float32Array:
        """Vectors with their biases (n, d + 1) in the order of the id map, which has its own.

        They are mapped from a file in `scratch`; raises OSError when that can't be written.
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
            # A plain ndarray over the same map: indexing a np.memmap costs several times more.
            return np.memmap(file, dtype=np.float32, mode="r", shape=shape).view(np.ndarray)


def _read_ids(path: Path, kind: str) -> tuple[IdMap, NDArray[np.int32], list[str]]:
    """The map of a file's ids, for each line its id's row (n,), and what looks wrong with them."""
    try:
        content = path.read_bytes()
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
    ids = IdMap.build(_checked(path, content))
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
    """The lines as `_lines` has them, without an object for each."""
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n")) + 1
    offsets = np.unique(np.concatenate([[0], ends, [len(content)]])).astype(np.int64)
    buffers = [pa.py_buffer(own) for own in (offsets, content)]
    lines = pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers)
    return pc.utf8_rtrim(lines, "\r\n")


def _lines(content: bytes) -> Iterator[str]:
    # Not splitlines, which also splits at characters that an id may hold.
    for line in io.BytesIO(content):
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode()


def _checked(path: Path, content: bytes) -> Iterator[str]:
    """The ids; raises InputError, which names the row, for one that can't be used."""
    for row, line in enumerate(_lines(content), start=1):
        try:
            yield check_id(line)
        except InvalidIdError as error:
            raise InputError(path, str(error), row=row) from error


def _map_array(path: Path, *, dimensions: int) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from error
    except Exception as error:  # numpy parses the header as Python: what it raises isn't documented
        raise InputError(path, f"isn't a .npy array: {error}") from error
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


def _check_finite(path: Path, array: NDArray[Any]) -> None:
    """Raise InputError for rows, or numbers, that aren't finite as float32."""
    bad = np.zeros(len(array), dtype=bool)
    for rows in row_chunks(len(array)):
        chunk = _float32(array[rows])
        bad[rows] = ~np.isfinite(chunk.reshape(len(chunk), -1)).all(axis=1)
    if bad.any():
        raise InputError(
            path,
            f"{int(bad.sum())} of {len(array)} rows aren't finite as float32, the first is row "
            f"{int(bad.argmax())}, counted from 0",
        )
