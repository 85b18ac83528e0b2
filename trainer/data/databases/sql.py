"""Read interactions by an SQL query, in Arrow record batches through ADBC."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pyarrow as pa

from lightfm_retriever.files.regular_files import check_database, open_regular
from trainer.data import interactions
from trainer.data.databases import url as database_urls
from trainer.data.databases.url import DatabaseUrl
from trainer.data.files import column_names, column_types
from trainer.data.interactions import Interactions
from trainer.errors import ExtraMissingError, InputError, TrainerError

OPTION = "--interactions-sql"
# A query has no path, so errors name the flag.
_PATH = Path(OPTION)
_DRIVERS = {"sqlite": "adbc_driver_sqlite.dbapi", "postgresql": "adbc_driver_postgresql.dbapi"}
_BATCH_ROWS = 1 << 16
_ALL_ROWS = 1 << 30
_BUSY_MILLISECONDS = 10_000
_SHOWN_CHARACTERS = 100
_COMMENT = re.compile(r"\s+|--[^\n]*(\n|$)|/\*.*?\*/|\(", re.DOTALL)
_READING = ("select", "with", "values", "table")

_Result = TypeVar("_Result")


class SqlError(TrainerError):
    """The database can't be reached, or refuses the query or can't answer it."""

    def __init__(self, query: str, reason: str) -> None:
        super().__init__(f"{OPTION} {first_line(query)!r}: {reason}")


def read_interactions_sql(
    query: str, database_url: str, *, event_ids: bool = False, now: float | None = None
) -> Interactions:
    """Read the rows of a query, with the same columns as `interactions.read_interactions`.

    Args:
        query: one statement that only reads; add an ORDER BY if the order of rows matters.
        database_url: see trainer.data.databases.url.parse.
        event_ids, now: see `interactions.read_interactions`.

    Raises:
        SqlError: the database can't be reached or refuses the query, or the result has no row.
        InputError: the SQLite file can't be read, or a column or a row is wrong.
        OptionError: the address can't be used.
        ExtraMissingError: the driver isn't installed.
    """
    table = read_result(query, database_url, event_ids=event_ids)
    name = database_urls.parse(database_url).name
    return interactions.from_table(_PATH, table, name=name, now=now)


def read_result(query: str, database_url: str, *, event_ids: bool = False) -> pa.Table:
    """Read the interaction columns of a query's result, one chunk for each batch.

    A uuid becomes text, and so does a number that a float can't hold exactly. Raises as
    `read_interactions_sql`.
    """
    columns = interactions.optional_columns(event_ids=event_ids)
    return _read(query, database_url, columns, lambda batches: pa.Table.from_batches([*batches]))


def digest(query: str, database_url: str, *, event_ids: bool = False) -> str:
    """Return a digest of the same columns and rows, independent of the order of rows.

    It reads all rows, but needs memory for one batch only. Raises as `read_interactions_sql`.
    """
    return _read(query, database_url, interactions.optional_columns(event_ids=event_ids), _digest)


def first_line(query: str) -> str:
    """Return the first line that isn't blank, shortened if it is long."""
    line = next((line.strip() for line in query.splitlines() if line.strip()), "")
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}..."


class _MixedTypesError(Exception):
    pass


def _read(
    query: str,
    database_url: str,
    optional: Collection[str],
    use: Callable[[Iterator[pa.RecordBatch]], _Result],
    batch_rows: int = _BATCH_ROWS,
) -> _Result:
    _check_reads(query)
    url = database_urls.parse(database_url)
    try:
        with _errors(query, url), _connection(url) as connection, connection.cursor() as cursor:
            if url.scheme == "sqlite":
                # Wait for a writer that is about to commit.
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(batch_rows)})
            else:
                cursor.execute("SET default_transaction_read_only = on")
            # The driver appends text to the query, so the line break must end a comment.
            cursor.execute(f"{query.strip().removesuffix(';')}\n")
            return use(_batches(query, cursor.fetch_record_batch(), optional))
    except _MixedTypesError:
        if batch_rows == _ALL_ROWS:
            raise
        # In SQLite the values have types, not the columns, and the driver takes a column's type from
        # the first batch. With a single batch it finds a type that fits all values.
        return _read(query, database_url, optional, use, _ALL_ROWS)


def _connection(url: DatabaseUrl) -> Any:
    try:
        driver = importlib.import_module(_DRIVERS[url.scheme])
    except ModuleNotFoundError as error:
        raise ExtraMissingError(OPTION, "sql", str(error.name)) from error
    if url.path is None:
        return driver.connect(database_urls.pinned(url), autocommit=True)
    try:
        # Check the file first: the driver's message for a missing file is about memory.
        with open_regular(url.path) as file:
            # A file in /proc looks regular and empty, and SQLite might block on reading it.
            if file.read(1) and not os.fstat(file.fileno()).st_size:
                raise InputError(url.path, "isn't an SQLite database, but a file of the kernel")
        check_database(url.path)
    except OSError as error:
        reason = error.strerror or str(error)
        if not url.path.is_absolute() and Path("/", url.path).exists():
            reason += f"; with four slashes, sqlite:////{url.path}, the path is absolute"
        path = Path(error.filename) if isinstance(error.filename, str | Path) else url.path
        raise InputError(path, reason) from error
    return driver.connect(f"file:{quote(str(url.path.absolute()))}?mode=ro", autocommit=True)


@contextmanager
def _errors(query: str, url: DatabaseUrl) -> Iterator[None]:
    """Turn errors of a driver into SqlError, without the cause, which could show a password."""
    try:
        yield
    except (TrainerError, _MixedTypesError):
        raise
    except Exception as error:
        module = type(error).__module__
        if not (isinstance(error, OSError | pa.ArrowException) or module.startswith("adbc_driver")):
            raise
        if url.scheme == "sqlite" and "Type mismatch in column" in str(error):
            raise _MixedTypesError from None
        # Drivers repeat the query.
        message = re.sub(r"\s*\n(Query was|query): .*", "", str(error), flags=re.DOTALL).strip()
        raise SqlError(query, f"{url.shown}: {url.hide(message)}") from None


def _batches(
    query: str, reader: pa.RecordBatchReader, optional: Collection[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the batches with rows, with interaction columns only; at least one batch."""
    names = reader.schema.names
    chosen = column_names.wanted(_PATH, names, interactions.REQUIRED, optional)
    rows = 0
    for batch in reader:
        rows += batch.num_rows
        if batch.num_rows:
            columns = [column_types.decoded(batch.column(names.index(name))) for name in chosen]
            yield pa.RecordBatch.from_arrays(columns, chosen)
    if not rows:
        raise SqlError(query, "the query returns no row")


def _check_reads(query: str) -> None:
    """Raise SqlError for a statement that isn't a SELECT.

    Some statements write files even if all tables are read-only, such as COPY ... TO in PostgreSQL, and
    VACUUM INTO and ATTACH in SQLite.
    """
    position = 0
    while match := _COMMENT.match(query, position):
        position = match.end()
    word = re.match(r"\w*", query[position:])
    if word is None or word.group().lower() not in _READING:
        raise SqlError(query, "isn't a query that only reads: it should begin with SELECT or WITH")


def _digest(batches: Iterator[pa.RecordBatch]) -> str:
    """Return a digest of the sum of all row digests, which no order changes."""
    total = 0
    names: list[str] = []
    for batch in batches:
        names = batch.schema.names
        for row in zip(*(_comparable(column) for column in batch.columns), strict=True):
            total += int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=16).digest())
    return hashlib.sha256(f"{names} {total}".encode()).hexdigest()


def _comparable(values: pa.Array) -> list[Any]:
    # Python's dates cover fewer years than those of databases.
    if pa.types.is_timestamp(values.type) or pa.types.is_date64(values.type):
        values = values.cast(pa.int64())
    elif pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    listed: list[Any] = values.to_pylist()
    return listed
