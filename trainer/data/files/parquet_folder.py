"""A folder of Parquet files as one table.

Files and folders whose names begin with "." or "_" are left out, as Spark, Hive and Arrow do: that is
where writers keep what isn't data, or isn't yet. All others have to be Parquet files. A folder in it
that is named as "event=purchase" gives all rows below it a column `event` of that text (Hive's
partitioning).
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
from trainer.data.files import column_names, column_types, file_kinds, tables
from trainer.errors import InputError

_TABLES = {"_delta_log": "is a Delta table", ".hoodie": "is a Hudi table"}


@dataclass(frozen=True)
class ParquetFolder:
    """What was read from a folder.

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


def read_folder(path: Path, *, required: Collection[str], optional: Collection[str]) -> ParquetFolder:
    """Read columns of all Parquet files below a folder.

    Where files have a column of different types it is of one that has all values exactly: text of any
    form is text, numbers are of the larger type, and a column or a file without any value is of any
    type. Integers and floats are floats in optional columns only.

    Args:
        path: the folder.
        required: columns that must be there, in the files or as partitions; of ids.
        optional: further columns to read where they exist.

    Raises:
        InputError: there is no row or no such column, a file isn't Parquet, or the files differ in the
            type of a column in another way, or in its presence; names the file.
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


def _refuse_double_columns(files: Sequence[Path]) -> None:
    """Name the file that has a column twice, and the column: Arrow names neither."""
    for file in files:
        with held_open(file) as opened:
            names = pa.parquet.read_schema(opened).names
        column_names.wanted(file, names, [], names)


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
        for name in (*folders, *files):
            _refuse_other_tables(Path(folder, name))
        folders[:] = [name for name in folders if name[0] not in "._"]
        found += [Path(folder, name) for name in files if name[0] not in "._"]
    return sorted(found)


def _refuse_other_tables(path: Path) -> None:
    """Raise InputError for what would be left out in silence, or read with what was removed."""
    if path.name in _TABLES:
        reason = f"{_TABLES[path.name]}, whose files hold removed rows too: export it to a folder"
        raise InputError(path.parent, reason)
    if path.is_symlink() and path.is_dir():
        raise InputError(path, "is a link to a folder, which isn't followed: move the folder here")


def _read(
    path: Path, files: list[Path], required: Collection[str], optional: Collection[str]
) -> ParquetFolder:
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
    schemas = [fragment.physical_schema for fragment in fragments]
    wanted = column_names.wanted(files[0], [*schemas[0].names, *keys], required, optional)
    for file, own in zip(files, schemas, strict=True):
        _check_columns(file, own, files[0], schemas[0], [*required, *optional])
    rows = [fragment.count_rows() for fragment in fragments]
    # Writers that have no row often have no types either.
    filled = [position for position, count in enumerate(rows) if count]
    if not filled:
        raise InputError(path, "there is no row in the files of this folder")
    typed_as = [(files[position], schemas[position]) for position in filled]
    fields = [
        pa.field(name, pa.string() if name in keys else _common_type(name, typed_as, required))
        for name in wanted
    ]
    missing = [pa.field(key, pa.string()) for key in keys if key not in wanted]
    # Not replace_schema, which takes a schema of the first file's types only.
    chosen = [fragments[position] for position in filled]
    typed = pads.FileSystemDataset(chosen, pa.schema([*fields, *missing]), dataset.format)
    table = typed.to_table(columns=wanted)
    folder = ParquetFolder(table, files, rows)
    with folder.errors_by_file():
        tables.check_text(path, table)
    return folder


def _partition_keys(path: Path, files: list[Path]) -> list[str]:
    """The columns that the names of folders give, which have to be the same for all files."""
    keys: list[list[str]] = []
    for file in files:
        parts = file.relative_to(path).parts[:-1]
        keys.append([part.partition("=")[0] for part in parts if "=" in part])
        if sorted(keys[-1]) != sorted(keys[0]):
            reason = f"lies in folders that give the columns {keys[-1]}, but those of {files[0]} give"
            raise InputError(file, f"{reason} {keys[0]}")
    return keys[0]


def _check_columns(
    file: Path, own: pa.Schema, first_file: Path, first: pa.Schema, columns: Collection[str]
) -> None:
    """Raise InputError unless a file has those of the columns that the first file has."""
    for name in columns:
        if (name in own.names) != (name in first.names):
            with_it, without = (file, first_file) if name in own.names else (first_file, file)
            raise InputError(without, f"has no column {name}, but {with_it} has")


def _common_type(
    name: str, schemas: Sequence[tuple[Path, pa.Schema]], exact: Collection[str]
) -> pa.DataType:
    """The type that a column is read as; InputError, which names two files, where there is none."""
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
    """A type that has all values of both exactly; None when there is none."""
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
        # No integer type has those of 64 bits with a sign and those without.
        return pa.large_string()
    if times and (one.tz is None) == (other.tz is None):
        # Arrow keeps points in time in UTC, whatever their zone.
        one, other = (pa.timestamp(kind.unit, kind.tz and "UTC") for kind in (one, other))
    elif numbers and not is_exact and not integers:
        return pa.float64()
    elif is_exact or not integers:
        return None
    schemas = [pa.schema([("it", kind)]) for kind in (one, other)]
    return pa.unify_schemas(schemas, promote_options="permissive").field("it").type


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without what doesn't change the values."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return pa.large_string() if column_types.is_text(kind) else kind
