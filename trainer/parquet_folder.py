"""A folder of Parquet files as one table.

Files and folders whose names begin with "." or "_" are left out, as Spark, Hive and Arrow do: that is
where writers keep what isn't data, or isn't yet. All others have to be Parquet files. A folder in it
that is named as "event=purchase" gives all rows below it a column `event` of that text (Hive's
partitioning).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from trainer import tables
from trainer.errors import InputError


@dataclass(frozen=True)
class Folder:
    """What was read from a folder.

    Attributes:
        path: the folder.
        table: the rows of all files, in the order of the files.
        files: the files, in the order of their paths.
        rows: how many rows each file has.
    """

    path: Path
    table: pa.Table
    files: list[Path]
    rows: list[int]

    @contextmanager
    def errors_by_file(self) -> Iterator[None]:
        """Have an InputError that names a row of the folder name the file and the row in it."""
        try:
            yield
        except InputError as error:
            if error.row is None:
                raise
            ends = np.cumsum(self.rows)
            file = int(np.searchsorted(ends, error.row))
            row = error.row - int(ends[file] - self.rows[file])
            raise InputError(self.files[file], error.reason, row=row) from None


def read_folder(path: Path, *, required: Collection[str], optional: Collection[str]) -> Folder:
    """Read columns of all Parquet files below a folder.

    Args:
        path: the folder.
        required: columns that must be there, in the files or as partitions.
        optional: further columns to read where they exist.

    Raises:
        InputError: there is no row or no such column, a file isn't Parquet, or the files differ in the
            type or the presence of a column that is read; names the file.
    """
    files = data_files(path)
    others = [file for file in files if not tables.is_parquet(file)]
    if len(others) == len(files):
        raise InputError(path, "there is no Parquet file in this folder")
    if others:
        reason = f"isn't a Parquet file, but all in {path} should be: move it, or let its name begin"
        raise InputError(others[0], f"{reason} with '_'")
    try:
        return _read(path, files, required, optional)
    except (pa.ArrowException, OSError) as error:
        raise InputError(path, f"can't be read as Parquet: {error}") from error


def data_files(path: Path) -> list[Path]:
    """All files below a folder but those that are left out, in the order of their paths.

    Raises:
        InputError: the folder can't be read.
    """
    found: list[Path] = []

    def fail(error: OSError) -> None:
        raise InputError(path, error.strerror or str(error)) from error

    # Not rglob, which takes a folder that it may not read for an empty one.
    for folder, folders, files in os.walk(path, onerror=fail):
        folders[:] = [name for name in folders if name[0] not in "._"]
        found += [Path(folder, name) for name in files if name[0] not in "._"]
    return sorted(found)


def _read(
    path: Path, files: list[Path], required: Collection[str], optional: Collection[str]
) -> Folder:
    keys = _partition_keys(path, files)
    # As text, since numbers would lose what tells ids apart, such as leading zeros.
    schema = pa.schema([(key, pa.string()) for key in keys])
    dataset = pads.dataset(
        [str(file) for file in files],
        format="parquet",
        partitioning=pads.partitioning(schema, flavor="hive"),
        partition_base_dir=str(path),
    )
    fragments = list(dataset.get_fragments())
    first: pa.Schema = fragments[0].physical_schema
    wanted = tables.wanted(files[0], [*first.names, *keys], required, optional)
    for file, fragment in zip(files, fragments, strict=True):
        _check_same(file, fragment.physical_schema, files[0], first, wanted, required, optional)
    rows = [fragment.count_rows() for fragment in fragments]
    if not sum(rows):
        raise InputError(path, "there is no row in the files of this folder")
    table = dataset.to_table(columns=wanted)
    # As for a single file: Arrow lets pass text that isn't UTF-8.
    table.validate(full=True)
    return Folder(path, table, files, rows)


def _partition_keys(path: Path, files: list[Path]) -> list[str]:
    """The columns that the names of folders give, which have to be the same for all files."""
    keys: list[str] | None = None
    for file in files:
        parts = file.relative_to(path).parts[:-1]
        own = [part.partition("=")[0] for part in parts if "=" in part]
        if keys is None:
            keys = own
        if sorted(own) != sorted(keys):
            reason = f"lies in folders that give the columns {own}, but those of {files[0]} give {keys}"
            raise InputError(file, reason)
    return keys or []


def _check_same(
    file: Path,
    own: pa.Schema,
    first_file: Path,
    first: pa.Schema,
    wanted: Collection[str],
    required: Collection[str],
    optional: Collection[str],
) -> None:
    """Raise InputError unless a file has the columns that are read as the first file has them."""
    for name in [*required, *optional]:
        if (name in own.names) != (name in first.names):
            with_it, without = (file, first_file) if name in own.names else (first_file, file)
            raise InputError(without, f"has no column {name}, but {with_it} has")
        if name in wanted and name in own.names and own.field(name).type != first.field(name).type:
            here, there = own.field(name).type, first.field(name).type
            raise InputError(file, f"column {name} holds {here}, but in {first_file} it holds {there}")
