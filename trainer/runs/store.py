"""Stores training runs: queues them, takes them from the queue, ends them and lists them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainer import spec as training_spec
from trainer.errors import (
    DamagedRunError,
    RequestIdReusedError,
    RunNotFoundError,
    StateError,
    TooManyRunsError,
)
from trainer.runs import rows as run_rows
from trainer.runs.file import FILE, SCHEMA_VERSION, TRIGGERS, RunFile
from trainer.runs.run import FINAL, STATES, DamagedRun, Outcome, Run, State
from trainer.spec import TrainingSpec

__all__ = ["FILE", "FINAL", "STATES", "DamagedRun", "Outcome", "Run", "RunStore", "State"]

MAX_QUEUED = 1000
INTERRUPTED = "the service ended while the run was running"
_END = "UPDATE runs SET state = ?, outcome = ?, ended_at = ? WHERE"


class RunStore:
    """Stores training runs on disk. Threads may share a store. Each change is durable on return.

    Creates the directory if it is missing. It belongs on a local disk, not on the shared volume, since
    SQLite's locks don't work on every network file system. Raises StateError if it can't be used.
    """

    def __init__(self, directory: Path) -> None:
        self._file = RunFile(directory)
        # One `add` at a time: a run counts in the record only after it was read back.
        self._adding = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, run_id: str, spec: TrainingSpec, *, request_id: str, now: float) -> Run:
        """Queue a run. With a known request id, returns the run of that id instead.

        Raises:
            RequestIdReusedError: the request id belongs to a run with another spec.
            DamagedRunError: the request id's run can't be read.
            TooManyRunsError: the queue is full.
            StateError: the disk is full or gone, or a restart wouldn't find the run in the file.
        """
        with self._adding:
            with self._file.transaction(whole=True) as database:
                known = self._known(database, spec, request_id)
                run = known or self._queue(database, run_id, spec, request_id=request_id, now=now)
                row = run_rows.find(database, "number", run.number)
                # The columns of a run that never change.
                lasting = ("number", "id", "request_id", "spec", "created_at")
                columns = {name: row[name] for name in lasting}
            try:
                self._file.confirm(run.id, columns)
            except StateError:
                if known is None:
                    # The caller gets an error, so the run mustn't start.
                    delete = "DELETE FROM runs WHERE id = ? AND state = 'QUEUED'"
                    with contextlib.suppress(StateError), self._file.transaction() as database:
                        database.execute(delete, (run_id,))
                raise
        return run

    def get(self, run_id: str) -> Run:
        """Return a run. Raises RunNotFoundError, DamagedRunError."""
        with self._file.transaction(whole=True) as database:
            return self._get(database, run_id)

    def page(
        self, *, size: int, before: int | None = None, state: State | None = None
    ) -> Sequence[Run | DamagedRun]:
        """Return up to `size` runs with numbers below `before`, the latest first."""
        wanted = {"number < ?": before, "state = ?": state}
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(["1", *given])
        # `where` only has the two conditions above, no text from outside.
        query = f"SELECT * FROM runs WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608
        with self._file.transaction(whole=True) as database:
            return [self._read(row) for row in database.execute(query, (*given.values(), size))]

    def count(self) -> dict[State, int]:
        """Return the number of runs in each state. Runs are never deleted."""
        with self._file.transaction() as database:
            found = dict(database.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def ended_from(self, number: int, *, size: int) -> tuple[list[Run], int]:
        """Return the ended runs from `number` on, and the number to continue from the next time.

        Returns the latest `size` runs, oldest first, without damaged ones. The next number is of the
        oldest run that hasn't ended.
        """
        with self._file.transaction() as database:
            rows = database.execute(
                "SELECT * FROM runs WHERE number >= ? AND state NOT IN ('QUEUED', 'RUNNING') "
                "ORDER BY number DESC LIMIT ?",
                (number, size),
            ).fetchall()
            (following,) = database.execute(
                "SELECT coalesce((SELECT min(number) FROM runs WHERE state IN ('QUEUED', 'RUNNING')), "
                "(SELECT max(number) + 1 FROM runs), 1)"
            ).fetchone()
        found = map(self._read, reversed(rows))
        return [run for run in found if isinstance(run, Run)], following

    def check(self) -> None:
        """Write to the file. Raises StateError if it is missing, incomplete or can't be written."""
        with self._file.transaction(whole=True) as database:
            # This changes nothing, but needs as much room on the disk as a change.
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def start_next(self, *, now: float) -> Run | None:
        """Take the oldest queued run and make it RUNNING. Returns None if no run is queued.

        Raises StateError if the rows of all queued runs refuse the change. Raises it for an older copy
        of the file, too: that copy would start ended runs again.
        """
        problem = ""
        with self._file.transaction(whole=True) as database:
            waiting = database.execute(
                "SELECT number FROM runs WHERE state = 'QUEUED' ORDER BY number"
            ).fetchall()
            for (number,) in waiting:
                # A trigger may change the row in another way. Undo such a change.
                database.execute("SAVEPOINT one")
                run = self._start(database, number, now=now)
                if isinstance(run, str):
                    problem = run
                    database.execute("ROLLBACK TO one")
                database.execute("RELEASE one")
                if isinstance(run, Run):
                    return run
        if problem:
            raise StateError(self._file.path, problem)
        return None

    def _start(self, database: sqlite3.Connection, number: int, *, now: float) -> Run | str | None:
        """Make a queued run RUNNING, and return it.

        Returns None if the run is damaged and FAILED now, and a text if its row refuses the change.
        """
        row = run_rows.find(database, "number", number)
        if row is None:
            return None
        run = self._read(row)
        if run.problem:
            # Fail a damaged run, so that the queue continues.
            outcome = run_rows.encode(Outcome(error=run.problem))
            database.execute(f"{_END} number = ?", ("FAILED", outcome, now, number))
            row = run_rows.find(database, "number", number)
            return None if row is not None and row["state"] == "FAILED" else _unchangeable(number)
        database.execute(
            "UPDATE runs SET state = 'RUNNING', started_at = ? WHERE number = ?", (now, number)
        )
        row = run_rows.find(database, "number", number)
        started = None if row is None else self._read(row)
        if isinstance(started, Run) and started.state == "RUNNING" and not started.problem:
            return started
        return _unchangeable(number)

    def note(self, run_id: str, outcome: Outcome) -> None:
        """Store the results of a running run so far."""
        with self._file.transaction() as database:
            database.execute(
                "UPDATE runs SET outcome = ? WHERE id = ? AND state = 'RUNNING'",
                (run_rows.encode(outcome), run_id),
            )

    def end(self, run_id: str, state: State, outcome: Outcome, *, now: float) -> Run:
        """Set a run's final state, unless it has one already. Returns the run as it is then.

        Raises DamagedRunError if the run can't be read or its row refuses the change.
        """
        with self._file.transaction() as database:
            database.execute(
                f"{_END} id = ? AND state IN ('QUEUED', 'RUNNING')",
                (state, run_rows.encode(outcome), now, run_id),
            )
            run = self._get(database, run_id)
        if not run.ended:
            # Without the error, callers that wait for the run's end would wait forever.
            raise DamagedRunError(run_id, f"{self._file.path}, {_unchangeable(run.number)}")
        return run

    def cancel_queued(self, run_id: str, *, now: float) -> Run:
        """Cancel a run if it is still queued. Returns the run after that. Raises RunNotFoundError."""
        with self._file.transaction() as database:
            outcome = run_rows.encode(Outcome(error="cancelled before it began"))
            values = ("CANCELLED", outcome, now, run_id)
            database.execute(f"{_END} id = ? AND state = 'QUEUED'", values)
            return self._get(database, run_id)

    def recover(self, *, now: float) -> list[Run]:
        """Set runs to FAILED that were running when the service ended, and return them."""
        with self._file.transaction() as database:
            rows = database.execute("SELECT * FROM runs WHERE state = 'RUNNING'").fetchall()
            ended = []
            for run in map(self._read, rows):
                if isinstance(run, Run):
                    stage = f" (stage {run.outcome.stage!r})" if run.outcome.stage else ""
                    outcome = replace(run.outcome, error=INTERRUPTED + stage)
                else:
                    outcome = Outcome(error=f"{INTERRUPTED}; {run.problem}")
                values = ("FAILED", run_rows.encode(outcome), now, run.number)
                database.execute(f"{_END} number = ?", values)
                if row := run_rows.find(database, "number", run.number):
                    ended.append(self._read(row))
            return [run for run in ended if isinstance(run, Run)]

    def _known(self, database: sqlite3.Connection, spec: TrainingSpec, request_id: str) -> Run | None:
        """Return the run of a request id; None if there is none."""
        row = run_rows.find(database, "request_id", request_id or None)
        if row is None:
            return None
        run = self._readable(row)
        if run.problem:
            # The specs can't be compared.
            raise DamagedRunError(run.id, run.problem)
        # Compare encoded specs, not stored texts: an earlier release may have stored fewer options.
        if not training_spec.is_same(run.spec, spec):
            raise RequestIdReusedError(request_id, run.id)
        return run

    def _queue(
        self,
        database: sqlite3.Connection,
        run_id: str,
        spec: TrainingSpec,
        *,
        request_id: str,
        now: float,
    ) -> Run:
        (queued,) = database.execute("SELECT count(*) FROM runs WHERE state = 'QUEUED'").fetchone()
        if queued >= MAX_QUEUED:
            raise TooManyRunsError(queued)
        if reason := run_rows.why_no_number(database):
            # SQLite would report a full disk instead.
            raise StateError(self._file.path, reason)
        columns = {
            "id": run_id,
            "request_id": request_id or None,
            "state": "QUEUED",
            "spec": training_spec.encode(spec),
            "created_at": now,
            "started_at": None,
            "ended_at": None,
            "outcome": run_rows.encode(Outcome()),
        }
        names = ", ".join(columns)
        values = ", ".join(f":{name}" for name in columns)
        # `names` and `values` only have names of columns, no text from outside.
        added = database.execute(f"INSERT INTO runs ({names}) VALUES ({values})", columns)  # noqa: S608
        if added.rowcount != 1:
            raise StateError(self._file.path, f"takes no new row: {TRIGGERS}")
        row = run_rows.find(database, "id", run_id)
        if row is None or any(row[name] != value for name, value in columns.items()):
            reason = f"has another row than the one that was written: {TRIGGERS}"
            raise StateError(self._file.path, reason)
        return self._readable(row)

    def _get(self, database: sqlite3.Connection, run_id: str) -> Run:
        row = run_rows.find(database, "id", run_id)
        if row is None:
            raise RunNotFoundError(run_id)
        return self._readable(row)

    def _read(self, row: sqlite3.Row) -> Run | DamagedRun:
        return run_rows.read(row, self._file.path)

    def _readable(self, row: sqlite3.Row) -> Run:
        run = self._read(row)
        if isinstance(run, DamagedRun):
            raise DamagedRunError(run.id, run.problem)
        return run


def _unchangeable(number: int) -> str:
    return f"row {number}: its state doesn't change when the trainer changes it: {TRIGGERS}"
