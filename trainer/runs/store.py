"""Training runs, as they are stored: queued, taken from the queue, ended and listed."""

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
    """The runs, on disk. What a method returned is durable; threads may share a store.

    Its directory is made when it isn't there; not on the shared volume, since SQLite's locks don't work
    on every network file system. StateError when it or the file can't be used.
    """

    def __init__(self, directory: Path) -> None:
        self._file = RunFile(directory)
        # Of two that are added at once, neither is counted before it was found again.
        self._adding = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, run_id: str, spec: TrainingSpec, *, request_id: str, now: float) -> Run:
        """Queue a run; with a request id that is known, return the run that it belongs to.

        Raises RequestIdReusedError, DamagedRunError when the id's run can't be read, TooManyRunsError,
        and StateError when the disk is full or gone, or a restart wouldn't find the run in the file.
        """
        with self._adding:
            with self._file.transaction(whole=True) as database:
                known = self._known(database, spec, request_id)
                run = known or self._queue(database, run_id, spec, request_id=request_id, now=now)
                row = run_rows.find(database, "number", run.number)
                # What never changes of a run.
                lasting = ("number", "id", "request_id", "spec", "created_at")
                columns = {name: row[name] for name in lasting}
            try:
                self._file.confirm(run.id, columns)
            except StateError:
                if known is None:
                    # It isn't acknowledged, so it isn't to run.
                    delete = "DELETE FROM runs WHERE id = ? AND state = 'QUEUED'"
                    with contextlib.suppress(StateError), self._file.transaction() as database:
                        database.execute(delete, (run_id,))
                raise
        return run

    def get(self, run_id: str) -> Run:
        """One run; raises RunNotFoundError, or DamagedRunError when it can't be read."""
        with self._file.transaction(whole=True) as database:
            return self._get(database, run_id)

    def page(
        self, *, size: int, before: int | None = None, state: State | None = None
    ) -> Sequence[Run | DamagedRun]:
        """At most `size` runs, the latest first, of those numbered below `before`."""
        wanted = {"number < ?": before, "state = ?": state}
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = " AND ".join(["1", *given])
        # The conditions are the two above.
        query = f"SELECT * FROM runs WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608
        with self._file.transaction(whole=True) as database:
            return [self._read(row) for row in database.execute(query, (*given.values(), size))]

    def count(self) -> dict[State, int]:
        """How many runs are in each state; none is ever deleted."""
        with self._file.transaction() as database:
            found = dict(database.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def ended_from(self, number: int, *, size: int) -> tuple[list[Run], int]:
        """What has ended of the runs from `number` on, oldest first; of more than `size` the latest.

        Those that can't be read are left out.

        Also returns the number from which to ask the next time: of the oldest that hasn't ended.
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
        """Raise StateError unless the file is there, whole and can be written, by writing to it."""
        with self._file.transaction(whole=True) as database:
            # Changes nothing, but takes the room that a change would.
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def start_next(self, *, now: float) -> Run | None:
        """Take the oldest queued run and make it RUNNING; None when none waits.

        Raises StateError when rows don't change as they should and no other run waits, and for an
        older copy of the file, which would start again what has ended.
        """
        problem = ""
        with self._file.transaction(whole=True) as database:
            waiting = database.execute(
                "SELECT number FROM runs WHERE state = 'QUEUED' ORDER BY number"
            ).fetchall()
            for (number,) in waiting:
                # What a row of the waiting ones becomes against our will isn't kept.
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
        """Make a waiting run RUNNING, or FAILED when it can't be read: None. Else what is wrong."""
        row = run_rows.find(database, "number", number)
        if row is None:
            return None
        run = self._read(row)
        if run.problem:
            # The queue goes on without it.
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
        """Keep what came of a running run so far."""
        with self._file.transaction() as database:
            database.execute(
                "UPDATE runs SET outcome = ? WHERE id = ? AND state = 'RUNNING'",
                (run_rows.encode(outcome), run_id),
            )

    def end(self, run_id: str, state: State, outcome: Outcome, *, now: float) -> Run:
        """Bring a run to a final state, unless it is in one; returns it as it is then.

        Raises DamagedRunError when it can't be read or its row doesn't change.
        """
        with self._file.transaction() as database:
            database.execute(
                f"{_END} id = ? AND state IN ('QUEUED', 'RUNNING')",
                (state, run_rows.encode(outcome), now, run_id),
            )
            run = self._get(database, run_id)
        if not run.ended:
            # Whoever waits for its end would wait for ever.
            raise DamagedRunError(run_id, f"{self._file.path}, {_unchangeable(run.number)}")
        return run

    def cancel_queued(self, run_id: str, *, now: float) -> Run:
        """Cancel a run if it still waits; returns it as it is then. Raises RunNotFoundError."""
        with self._file.transaction() as database:
            outcome = run_rows.encode(Outcome(error="cancelled before it began"))
            values = ("CANCELLED", outcome, now, run_id)
            database.execute(f"{_END} id = ? AND state = 'QUEUED'", values)
            return self._get(database, run_id)

    def recover(self, *, now: float) -> list[Run]:
        """Fail what was running when the service ended; what was queued runs. Returns the former."""
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
        """The run that a request id belongs to, None when there is none."""
        row = run_rows.find(database, "request_id", request_id or None)
        if row is None:
            return None
        run = self._readable(row)
        if run.problem:
            # Whether it is the same can't be told.
            raise DamagedRunError(run.id, run.problem)
        # Not the texts: a spec of before an option was there is still the same.
        if training_spec.encode(run.spec) != training_spec.encode(spec):
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
            # SQLite says of this that the disk is full.
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
        # Names of columns only.
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
    return f"row {number}: its state doesn't change as the trainer changes it: {TRIGGERS}"
