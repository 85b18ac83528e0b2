"""Read a Parquet file as an Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from lightfm_retriever.files.regular_files import held_open
from trainer.data.files import column_types
from trainer.data.files.column_types import decoded, is_text
from trainer.data.files.file_kinds import bad_byte
from trainer.errors import InputError

_FIRST_ROWS = 100


def read(path: Path, choose: Callable[[list[str]], list[str]]) -> pa.Table:
    """Read the columns that `choose` returns, of those that there are; raises InputError."""
    with _parquet_errors(path), held_open(path) as name, pa.parquet.ParquetFile(name) as file:
        table = file.read(columns=choose(file.schema_arrow.names))
    check_text(path, table)
    return table


def names(path: Path) -> list[str]:
    """Return the names of the columns; raises InputError."""
    with _parquet_errors(path), held_open(path) as name, pa.parquet.ParquetFile(name) as file:
        return list(file.schema_arrow.names)


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(path, f"a column's name isn't UTF-8: {error.object!r}") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(path, f"can't be read as Parquet: {error}") from error


def first_rows(path: Path) -> pa.Table:
    """Return some rows of all columns; raises InputError."""
    with _parquet_errors(path), held_open(path) as name, pa.parquet.ParquetFile(name) as file:
        batches = list(islice(file.iter_batches(batch_size=_FIRST_ROWS), 1))
        return pa.Table.from_batches(batches, file.schema_arrow)


def check_text(path: Path, table: pa.Table) -> None:
    """Raise InputError, which names the row, for text that isn't UTF-8: Arrow doesn't check it."""
    try:
        table.validate(full=True)
    except pa.ArrowException as error:
        for name, values in zip(table.column_names, table.columns, strict=True):
            if is_text(column_types.decoded_type(values.type)):
                _check_text(path, values, name)
        raise InputError(path, f"can't be read as Parquet: {error}") from error


def _check_text(path: Path, values: pa.ChunkedArray, column: str) -> None:
    # Arrow can't cast every type of text to bytes directly.
    texts = decoded(values).cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
    for row, text in enumerate(texts, start=1):
        try:
            (text or b"").decode()
        except UnicodeDecodeError as error:
            reason = f"column {column} holds {bad_byte(error)}: write text as UTF-8"
            raise InputError(path, reason, row=row) from error
