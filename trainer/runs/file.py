"""Opens the SQLite file that stores the training runs, and detects damage and loss.

A restart must find every committed run in this one file. These measures ensure it:

- SQLite uses a rollback journal, which exists only during a transaction. Removing a write-ahead log
  (WAL) would lose acknowledged runs.
- A transaction begins only while the path leads to the opened file, with the expected columns. A
  removed file would otherwise work until the service ends.
- A journal or write-ahead log must be a regular file: SQLite would wait forever at a FIFO.
- `confirm` reads a run back as a restart does.
- The record next to the file (`record`) detects a missing, empty, older or different file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from lightfm_retriever.files.regular_files import check_database, check_regular, open_descriptor
from trainer.errors import StateError
from trainer.runs import rows
from trainer.runs.record import RunRecord

FILE = "runs.sqlite"
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    request_id TEXT UNIQUE,
    state TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    outcome TEXT NOT NULL
);
CREATE INDEX runs_by_state ON runs (state, number);
"""
_UNIQUE = ("id", "request_id")
_UNIQUE_QUERY = """
SELECT min(own.name) FROM pragma_index_list('runs') AS list, pragma_index_info(list.name) AS own
WHERE list."unique" AND NOT list.partial GROUP BY list.name HAVING count(*) = 1
"""
# How long to wait for another process's lock, and for another thread's transaction.
_PATIENCE_SECONDS = 5.0
_LOCKED = "another process has locked it: end that process (a backup or an sqlite3 shell, for instance)"
_OTHER_MODE = (
    "another process changed its journal mode: let only the service change the file, and try again"
)
TRIGGERS = "remove the triggers of the table 'runs', which the trainer didn't make"
_MEND = "stop the service and restore it from a backup"
_TODO = {
    sqlite3.SQLITE_FULL: "make room",
    # The trainer's own changes satisfy all constraints, so a trigger must be the cause.
    sqlite3.SQLITE_CONSTRAINT: TRIGGERS,
    sqlite3.SQLITE_IOERR: "look for disk errors in the system's log, and check whether the file and "
    "its directory can be changed (`lsattr` shows immutable files)",
    sqlite3.SQLITE_READONLY: "let the service's user write the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "let the service's user write the file and its directory",
}


class RunFile:
    """The open file of a state directory. Threads may share it. Raises StateError if it is unusable."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._lock = threading.Lock()
        with self._errors():
            directory.mkdir(parents=True, exist_ok=True)
            self._record = RunRecord(directory)
            is_new = self._is_new()
            # Specs may hold a database's password.
            os.close(open_descriptor(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            with contextlib.suppress(PermissionError):
                # A restored backup may be readable by other users.
                self.path.chmod(0o600)
            self._identity = self._found()
            self.database = self._connect("rw")
            try:
                self._prepare(is_new=is_new)
            except BaseException:
                self.database.close()
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._record.keep()
            self.database.close()

    @contextmanager
    def transaction(self, *, whole: bool = False) -> Iterator[sqlite3.Connection]:
        """Run a transaction, which is durable when the context ends.

        With `whole`, the file must have all acknowledged runs. Raises StateError if it lacks runs,
        can't be used, or wouldn't be found by a restart.
        """
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            raise StateError(self.path, _LOCKED)
        try:
            with self._errors():
                if self._found() != self._identity:
                    raise StateError(
                        self.path,
                        "isn't the file that the service opened: put that file back, or restart the "
                        "service to continue with this one",
                    )
                check_database(self.path)
                self._record.keep()
                self._begin()
                try:
                    self._check(self.database)
                    if whole:
                        self._check_whole(self.database)
                    yield self.database
                    self.database.execute("COMMIT")
                except BaseException:
                    # SQLite may have rolled back already, because the disk is full.
                    if self.database.in_transaction:
                        self.database.execute("ROLLBACK")
                    raise
        finally:
            self._lock.release()

    def _begin(self) -> None:
        self.database.execute("BEGIN IMMEDIATE")
        if _mode(self.database) != "delete":
            # Another process switched to a write-ahead log.
            self.database.execute("ROLLBACK")
            self._keep_in_one_file()
            self.database.execute("BEGIN IMMEDIATE")

    def _check_whole(self, database: sqlite3.Connection, *, after_adding: bool = False) -> None:
        if missing := self._record.missing(database, after_adding=after_adding):
            raise self._not_whole(missing)

    def confirm(self, run_id: str, columns: Mapping[str, object]) -> None:
        """Read the file as a restart does, and note its runs in the record.

        Raises StateError unless the file has the run with these values of columns.
        """
        with self._errors(), closing(self._connect("ro")) as fresh:
            self._inspect(fresh)
            if _mode(fresh) != "delete":
                raise StateError(self.path, _OTHER_MODE)
            row = rows.find(fresh, "id", run_id)
            if row is None or any(row[name] != value for name, value in columns.items()):
                raise StateError(self.path, f"doesn't have what was written to it: {_MEND}")
            self._check_whole(fresh, after_adding=True)
            self._record.note(fresh)

    def _is_new(self) -> bool:
        """Return whether the file must be created. Raises StateError if it existed before."""
        try:
            size = check_regular(self.path).st_size
        except FileNotFoundError:
            size = None
        if size:
            return False
        if self._record.kept is not None:
            raise self._lacking("is gone" if size is None else "is empty")
        return True

    def _prepare(self, *, is_new: bool) -> None:
        if not is_new:
            # Inspect the file before the first change.
            self._inspect(self.database)
            self._check_whole(self.database)
        self._keep_in_one_file()
        # EXTRA also syncs the end of the journal, so that an acknowledged run survives a power cut.
        self.database.execute("PRAGMA synchronous = EXTRA")
        if is_new:
            self.database.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        # Begin the record last: after a crash before this line, the next start accepts the file.
        self._record.begin(self.database)

    def _keep_in_one_file(self) -> None:
        """Merge a write-ahead log into the file, as earlier releases wrote one, and remove it."""
        if self.database.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
            raise StateError(self.path, _LOCKED)

    def _check(self, database: sqlite3.Connection) -> None:
        """Raise StateError unless the file has the expected schema and is the recorded one."""
        [version] = database.execute("PRAGMA user_version").fetchone()
        columns = _declared(database)
        if not self.path.stat().st_size:
            raise self._lacking("is empty")
        if version > SCHEMA_VERSION:
            raise StateError(
                self.path,
                f"has schema version {version}, but this trainer knows {SCHEMA_VERSION}: upgrade the "
                "trainer",
            )
        if version != SCHEMA_VERSION:
            raise self._lacking(f"has schema version {version}, but should have {SCHEMA_VERSION}")
        if not columns:
            raise self._lacking("has no table 'runs'")
        self._check_columns(database, columns)
        if self._record.is_other(database):
            raise self._not_whole(self._record.missing(database))

    def _check_columns(self, database: sqlite3.Connection, columns: Mapping[str, str]) -> None:
        for column, declared in _COLUMNS.items():
            if column not in columns:
                raise self._lacking(f"has no column {column!r}")
            if (found := columns[column]) != declared:
                found = found or "of no type"
                raise self._lacking(
                    f"has a column {column!r} that is {found}, but should be {declared}"
                )
        unique = {name for (name,) in database.execute(_UNIQUE_QUERY)}
        for column in _UNIQUE:
            if column not in unique:
                raise self._lacking(f"has a column {column!r} that isn't UNIQUE, but should be")

    def _inspect(self, database: sqlite3.Connection) -> None:
        """Check the file as `_check` does, and read all of it. Raises StateError."""
        self._check(database)
        [damage] = database.execute("PRAGMA quick_check(1)").fetchone()
        if damage != "ok":
            raise self._lacking(f"is damaged ({damage})")

    def _found(self) -> tuple[int, int]:
        """Return device and inode of the file at the path."""
        try:
            found = self.path.stat()
        except FileNotFoundError as error:
            raise StateError(self.path, f"is gone: put it back, or {_MEND}") from error
        return found.st_dev, found.st_ino

    def _connect(self, mode: str) -> sqlite3.Connection:
        check_database(self.path)
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        database = sqlite3.connect(
            uri, uri=True, check_same_thread=False, isolation_level=None, timeout=_PATIENCE_SECONDS
        )
        database.row_factory = sqlite3.Row
        database.text_factory = rows.text_of
        return database

    def _lacking(self, what: str) -> StateError:
        return StateError(
            self.path,
            f"{what}, though training runs were stored in it: {_MEND}; to begin without those runs, "
            f"stop the service and remove this file and {self._record.path}",
        )

    def _not_whole(self, what: str) -> StateError:
        return StateError(
            self.path,
            f"{what}: {_MEND}; to continue with the runs in this file, stop the service and remove "
            f"{self._record.path}, the record of all runs",
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._store_error(error) from error
        except OSError as error:
            raise StateError.of(error, self.path) from error

    def _store_error(self, error: sqlite3.Error) -> StateError:
        # The last eight bits are the kind of error; the higher bits are details.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self._lacking(str(error))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StateError(self.path, _LOCKED)
        return StateError(self.path, ": ".join(filter(None, (str(error), _TODO.get(code)))))


def _mode(database: sqlite3.Connection) -> str:
    return str(database.execute("PRAGMA journal_mode").fetchone()[0])


def _declared(database: sqlite3.Connection) -> dict[str, str]:
    """Return each column's declaration: its type, NOT NULL, and PRIMARY KEY."""
    rows = database.execute("PRAGMA table_info(runs)")
    return {
        name: " ".join(
            filter(None, (str(kind).upper(), "NOT NULL" * filled, "PRIMARY KEY" * bool(key)))
        )
        for _, name, kind, filled, _, key in rows
    }


with closing(sqlite3.connect(":memory:")) as _made:
    _made.executescript(_SCHEMA)
    _COLUMNS = _declared(_made)
