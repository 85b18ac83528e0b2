"""Read a folder of Parquet files as one table.

Files and folders whose names begin with "." or "_" are left out, as by Spark, Hive and Arrow: writers
keep metadata and unfinished files there. All other files must be Parquet. A folder named like
"event=purchase" gives all rows below it a column `event` with that text (Hive partitioning).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet

from lightfm_retriever.files.regular_files import held_open
from trainer.data.files import column_names, column_types, file_kinds, parquet_files
from trainer.errors import InputError

_TABLES = {"_delta_log": "is a Delta table", ".hoodie": "is a Hudi table"}


@dataclass(frozen=True)
class ParquetFolder:
    """The contents of a folder.

    Attributes:
        table: the rows of all files, in the order of the files.
        files: the files, in the order of their paths.
        rows: how many rows each file has.
    """

    table: pa.Table
    files: list[Path]
    rows: list[int]

    @contextmanager
    def errors_by_file(self) -> Iterator[None]:
        """Make an InputError for a row of the whole folder name the file and the row in that file."""
        try:
            yield
        except InputError as error:
            if error.row is None:
                raise
            ends = np.cumsum(self.rows)
            file = int(np.searchsorted(ends, error.row))
            row = error.row - int(ends[file] - self.rows[file])
            raise InputError(self.files[file], error.reason, row=row) from None


def read_folder(path: Path, *, required: Collection[str], optional: Collection[str]) -> ParquetFolder:
    """Read columns of all Parquet files below a folder.

    If the types of a column differ between files, the result has a type that keeps all values exactly.
    Text types become text, and numbers take the larger type. A column without values fits any type.
    Integers and floats together become floats in optional columns only.

    Args:
        path: the folder.
        required: id columns that must exist, in the files or as partitions.
        optional: further columns to read if they exist.

    Raises:
        InputError: there is no row, a column is missing, a file isn't Parquet, or the files have
            incompatible types of a column; names the file.
    """
    files = data_files(path)
    others = [file for file in files if file_kinds.start_of(file) != file_kinds.PARQUET_MAGIC]
    if len(others) == len(files):
        raise InputError(path, "there is no Parquet file in this folder")
    if others:
        reason = f"isn't a Parquet file, but all in {path} should be: move it, or let its name begin"
        raise InputError(others[0], f"{reason} with '_'")
    try:
        return _read(path, files, required, optional)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if "duplicate field" in str(error):
            _refuse_double_columns(files)
        raise InputError(path, f"can't be read as Parquet: {error}") from error


def names_of(path: Path) -> list[str]:
    """Return the columns of a folder: those of its first file, and its partitions.

    Raises:
        InputError: as `read_folder`.
    """
    files = data_files(path)
    parquet = [file for file in files if file_kinds.start_of(file) == file_kinds.PARQUET_MAGIC]
    if not parquet:
        raise InputError(path, "there is no Parquet file in this folder")
    return [*parquet_files.names(parquet[0]), *_partition_keys(path, files)]


def _refuse_double_columns(files: Sequence[Path]) -> None:
    """Raise InputError for the file that has a column twice, since Arrow names neither."""
    for file in files:
        with held_open(file) as opened:
            names = pa.parquet.read_schema(opened).names
        column_names.wanted(file, names, [], names)


def data_files(path: Path) -> list[Path]:
    """Return all data files below a folder, in the order of their paths.

    Raises:
        InputError: the folder can't be read.
    """
    found: list[Path] = []

    def fail(error: OSError) -> None:
        raise InputError(path, error.strerror or str(error)) from error

    # rglob would treat an unreadable folder as empty.
    for folder, folders, files in os.walk(path, onerror=fail):
        for name in (*folders, *files):
            _refuse_other_tables(Path(folder, name))
        folders[:] = [name for name in folders if name[0] not in "._"]
        found += [Path(folder, name) for name in files if name[0] not in "._"]
    return sorted(found)


def _refuse_other_tables(path: Path) -> None:
    """Raise InputError for Delta and Hudi tables, which hold removed rows, and for links to folders."""
    if path.name in _TABLES:
        reason = f"{_TABLES[path.name]}, whose files hold removed rows too: export it to a folder"
        raise InputError(path.parent, reason)
    if path.is_symlink() and path.is_dir():
        raise InputError(path, "is a link to a folder, which isn't followed: move the folder here")


def _read(
    path: Path, files: list[Path], required: Collection[str], optional: Collection[str]
) -> ParquetFolder:
    keys = _partition_keys(path, files)
    # Read partitions as text: as numbers, ids would lose leading zeros.
    schema = pa.schema([(key, pa.string()) for key in keys])
    dataset = pads.dataset(
        [str(file) for file in files],
        format="parquet",
        partitioning=pads.partitioning(schema, flavor="hive"),
        partition_base_dir=str(path),
    )
    fragments = list(dataset.get_fragments())
    schemas = [fragment.physical_schema for fragment in fragments]
    wanted = column_names.wanted(files[0], [*schemas[0].names, *keys], required, optional)
    for file, own in zip(files, schemas, strict=True):
        _check_columns(file, own, files[0], schemas[0], [*required, *optional])
    rows = [fragment.count_rows() for fragment in fragments]
    # Files without rows often have no types either.
    filled = [position for position, count in enumerate(rows) if count]
    if not filled:
        raise InputError(path, "there is no row in the files of this folder")
    typed_as = [(files[position], schemas[position]) for position in filled]
    fields = [
        pa.field(name, pa.string() if name in keys else _common_type(name, typed_as, required))
        for name in wanted
    ]
    missing = [pa.field(key, pa.string()) for key in keys if key not in wanted]
    # replace_schema would only accept the types of the first file.
    chosen = [fragments[position] for position in filled]
    typed = pads.FileSystemDataset(chosen, pa.schema([*fields, *missing]), dataset.format)
    table = typed.to_table(columns=wanted)
    folder = ParquetFolder(table, files, rows)
    with folder.errors_by_file():
        parquet_files.check_text(path, table)
    return folder


def _partition_keys(path: Path, files: list[Path]) -> list[str]:
    """Return the columns that folder names give; raises InputError if they differ between files."""
    keys: list[list[str]] = []
    for file in files:
        parts = file.relative_to(path).parts[:-1]
        keys.append([part.partition("=")[0] for part in parts if "=" in part])
        if sorted(keys[-1]) != sorted(keys[0]):
            reason = f"is in folders that give the columns {keys[-1]}, but the folders of {files[0]}"
            raise InputError(file, f"{reason} give {keys[0]}")
    return keys[0]


def _check_columns(
    file: Path, own: pa.Schema, first_file: Path, first: pa.Schema, columns: Collection[str]
) -> None:
    """Raise InputError unless a file has the same of the columns as the first file."""
    for name in columns:
        if (name in own.names) != (name in first.names):
            with_it, without = (file, first_file) if name in own.names else (first_file, file)
            raise InputError(without, f"has no column {name}, but {with_it} has")


def _common_type(
    name: str, schemas: Sequence[tuple[Path, pa.Schema]], exact: Collection[str]
) -> pa.DataType:
    """Return the common type of a column; raises InputError, which names two files, if none exists."""
    found: dict[pa.DataType, Path] = {}
    for file, schema in schemas:
        found.setdefault(schema.field(name).type, file)
    common, *others = found
    for other in others:
        unified = _unified(common, other, is_exact=name in exact)
        if unified is None:
            first = next(iter(found))
            raise InputError(
                found[other], f"column {name} holds {other}, but in {found[first]} it holds {first}"
            )
        common = unified
    return common


def _unified(one: pa.DataType, other: pa.DataType, *, is_exact: bool) -> pa.DataType | None:
    """Return a type that keeps all values of both exactly; None if there is none."""
    one, other = (_plain(kind) for kind in (one, other))
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    integers, numbers, times = (
        is_kind(one) and is_kind(other)
        for is_kind in (column_types.is_integer, column_types.is_number, pa.types.is_timestamp)
    )
    if integers and is_exact:
        # No integer type holds both signed and unsigned integers of 64 bits.
        return pa.large_string()
    if times and (one.tz is None) == (other.tz is None):
        # Arrow stores times in UTC, whatever their time zone.
        one, other = (pa.timestamp(kind.unit, kind.tz and "UTC") for kind in (one, other))
    elif numbers and not is_exact and not integers:
        return pa.float64()
    elif is_exact or not integers:
        return None
    schemas = [pa.schema([("it", kind)]) for kind in (one, other)]
    return pa.unify_schemas(schemas, promote_options="permissive").field("it").type


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type without dictionaries, extensions and variants of text."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return pa.large_string() if column_types.is_text(kind) else kind
