"""Training runs: their states, and the SQLite file that they are kept in.

    QUEUED ──► RUNNING ──► SUCCEEDED
       │          ├──────► FAILED
       └──────────┴──────► CANCELLED

A run leaves a state only by the arrows; whoever comes too late changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from trainer import training_spec
from trainer.errors import (
    OptionError,
    RequestIdReusedError,
    RunNotFoundError,
    StoreError,
    TooManyRunsError,
)
from trainer.gates import GateResult
from trainer.training_spec import DataSpec, TrainingSpec

State = Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
STATES: tuple[State, ...] = get_args(State)
FINAL: frozenset[State] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
FILE = "runs.sqlite"
MAX_QUEUED = 1000
INTERRUPTED = "the service ended while the run was running"

_SCHEMA_VERSION = 1
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


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run so far.

    Attributes:
        stage, done, total: what it does now or did last, and how much of it is done.
        metrics: by name, as they become known.
        version: what it published; empty before that.
        label_moved: whether its label names the version because of it.
        gates: how the version did.
        warnings: sentences about data and indexes.
        error: why it failed or was cancelled.
        seconds: by stage.
        seconds_left: estimate for the stage; None when it can't be told.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    version: str = ""
    label_moved: bool = False
    gates: list[GateResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run; times are seconds since the epoch, None for what hasn't happened."""

    number: int
    id: str
    request_id: str
    state: State
    spec: TrainingSpec
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return self.state in FINAL


class RunStore:
    """The runs, on disk. What a method returned is durable; threads may share a store.

    Args:
        directory: made when it isn't there; not on the shared volume, since SQLite's locks don't work
            on every network file system.

    Raises:
        StoreError: the directory or the file can't be used.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = threading.Lock()
        with self._errors():
            directory.mkdir(parents=True, exist_ok=True)
            # Specs may hold a database's password.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with contextlib.suppress(PermissionError):
                # A backup that was put back may let others read it.
                self._path.chmod(0o600)
            self._database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA journal_mode = WAL")
            # An acknowledged run outlives a power cut.
            self._database.execute("PRAGMA synchronous = FULL")
            found = self._database.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, _SCHEMA_VERSION):
                raise StoreError(
                    self._path, f"has schema version {found}, this trainer knows {_SCHEMA_VERSION}"
                )
            if found == 0:
                self._database.executescript(
                    f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
                )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def add(self, run_id: str, spec: TrainingSpec, *, request_id: str, now: float) -> Run:
        """Queue a run; with a request id that is known, return the run that it belongs to.

        Raises:
            RequestIdReusedError: the id came with another spec before.
            TooManyRunsError: MAX_QUEUED runs wait already.
            StoreError: the disk is full or gone.
        """
        encoded = training_spec.encode(spec)
        with self._transaction() as database:
            if request_id:
                row = database.execute(
                    "SELECT * FROM runs WHERE request_id = ?", (request_id,)
                ).fetchone()
                if row is not None:
                    # Not the texts: a spec of before an option was there is still the same.
                    if training_spec.encode(training_spec.decode(row["spec"])) != encoded:
                        raise RequestIdReusedError(request_id, row["id"])
                    return _run(row)
            (queued,) = database.execute("SELECT count(*) FROM runs WHERE state = 'QUEUED'").fetchone()
            if queued >= MAX_QUEUED:
                raise TooManyRunsError(queued)
            database.execute(
                "INSERT INTO runs (id, request_id, state, spec, created_at, outcome) "
                "VALUES (?, ?, 'QUEUED', ?, ?, ?)",
                (run_id, request_id or None, encoded, now, _encode(Outcome())),
            )
            return self._get(database, run_id)

    def get(self, run_id: str) -> Run:
        """One run; raises RunNotFoundError."""
        with self._transaction() as database:
            return self._get(database, run_id)

    def page(
        self, *, size: int, before: int | None = None, state: State | None = None
    ) -> Sequence[Run]:
        """At most `size` runs, the latest first, of those numbered below `before`."""
        conditions, values = ["1"], []
        if before is not None:
            conditions.append("number < ?")
            values.append(str(before))
        if state is not None:
            conditions.append("state = ?")
            values.append(state)
        # The conditions are the two above.
        query = f"SELECT * FROM runs WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ?"  # noqa: S608
        with self._transaction() as database:
            return [_run(row) for row in database.execute(query, (*values, size))]

    def count(self) -> dict[State, int]:
        """How many runs are in each state; none is ever deleted."""
        with self._transaction() as database:
            found = dict(database.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def ended_from(self, number: int, *, size: int) -> tuple[list[Run], int]:
        """What has ended of the runs from `number` on, oldest first; of more than `size` the latest.

        Also returns the number from which to ask the next time: of the oldest that hasn't ended.
        """
        with self._transaction() as database:
            rows = database.execute(
                "SELECT * FROM runs WHERE number >= ? AND state NOT IN ('QUEUED', 'RUNNING') "
                "ORDER BY number DESC LIMIT ?",
                (number, size),
            ).fetchall()
            (following,) = database.execute(
                "SELECT coalesce((SELECT min(number) FROM runs WHERE state IN ('QUEUED', 'RUNNING')), "
                "(SELECT max(number) + 1 FROM runs), 1)"
            ).fetchone()
        return [*map(_run, reversed(rows))], following

    def check(self) -> None:
        """Raise StoreError unless the file is there and can be written, by writing to it."""
        # One that was deleted works on for whoever has it open.
        if not self._path.exists():
            raise StoreError(self._path, "is gone")
        with self._transaction() as database:
            # Changes nothing, but takes the room that a change would.
            database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def start_next(self, *, now: float) -> Run | None:
        """Take the oldest queued run and make it RUNNING; None when none waits."""
        with self._transaction() as database:
            while True:
                row = database.execute(
                    "SELECT id, spec FROM runs WHERE state = 'QUEUED' ORDER BY number LIMIT 1"
                ).fetchone()
                if row is None:
                    return None
                _, problem = _spec(row["spec"])
                if problem is None:
                    break
                # The queue goes on without it.
                database.execute(
                    "UPDATE runs SET state = 'FAILED', outcome = ?, ended_at = ? WHERE id = ?",
                    (_encode(Outcome(error=problem)), now, row["id"]),
                )
            database.execute(
                "UPDATE runs SET state = 'RUNNING', started_at = ? WHERE id = ?", (now, row["id"])
            )
            return self._get(database, row["id"])

    def note(self, run_id: str, outcome: Outcome) -> None:
        """Keep what came of a running run so far."""
        with self._transaction() as database:
            database.execute(
                "UPDATE runs SET outcome = ? WHERE id = ? AND state = 'RUNNING'",
                (_encode(outcome), run_id),
            )

    def end(self, run_id: str, state: State, outcome: Outcome, *, now: float) -> Run:
        """Bring a run to a final state, unless it is in one; returns it as it is then."""
        with self._transaction() as database:
            database.execute(
                "UPDATE runs SET state = ?, outcome = ?, ended_at = ? "
                "WHERE id = ? AND state IN ('QUEUED', 'RUNNING')",
                (state, _encode(outcome), now, run_id),
            )
            return self._get(database, run_id)

    def cancel_queued(self, run_id: str, *, now: float) -> Run:
        """Cancel a run if it still waits; returns it as it is then. Raises RunNotFoundError."""
        with self._transaction() as database:
            database.execute(
                "UPDATE runs SET state = 'CANCELLED', outcome = ?, ended_at = ? "
                "WHERE id = ? AND state = 'QUEUED'",
                (_encode(Outcome(error="cancelled before it began")), now, run_id),
            )
            return self._get(database, run_id)

    def recover(self, *, now: float) -> list[Run]:
        """Fail what was running when the service ended; what was queued runs. Returns the former."""
        with self._transaction() as database:
            rows = database.execute("SELECT * FROM runs WHERE state = 'RUNNING'").fetchall()
            ended = []
            for run in map(_run, rows):
                stage = f" (stage {run.outcome.stage!r})" if run.outcome.stage else ""
                outcome = replace(run.outcome, error=INTERRUPTED + stage)
                database.execute(
                    "UPDATE runs SET state = 'FAILED', outcome = ?, ended_at = ? WHERE id = ?",
                    (_encode(outcome), now, run.id),
                )
                ended.append(self._get(database, run.id))
            return ended

    def _get(self, database: sqlite3.Connection, run_id: str) -> Run:
        row = database.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFoundError(run_id)
        return _run(row)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled it back already.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._path, str(error)) from error


_UNREADABLE = TrainingSpec(data=DataSpec(dataset="unreadable"), label=None)


def _spec(text: str) -> tuple[TrainingSpec, str | None]:
    """A spec; when another release accepted what this one refuses, a stand-in and the reason."""
    try:
        return training_spec.decode(text), None
    except (OptionError, msgspec.MsgspecError) as error:
        return _UNREADABLE, f"this release of the trainer refuses its spec: {error}"


def _run(row: sqlite3.Row) -> Run:
    spec, _ = _spec(row["spec"])
    return Run(
        number=row["number"],
        id=row["id"],
        request_id=row["request_id"] or "",
        state=row["state"],
        spec=spec,
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=_decode(row["outcome"]),
    )


def _encode(outcome: Outcome) -> str:
    # JSON has no NaN; a metric that isn't a number is none.
    finite = {name: value for name, value in outcome.metrics.items() if abs(value) < float("inf")}
    return msgspec.json.encode(replace(outcome, metrics=finite)).decode()


def _decode(text: str) -> Outcome:
    value: Any = msgspec.json.decode(text)
    return msgspec.convert(value, Outcome)
