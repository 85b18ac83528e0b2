"""Converts rows of the file of runs to runs and back. Checks each value: a row may have been edited."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from trainer import spec as training_spec
from trainer.errors import OptionError
from trainer.runs.run import STATES, DamagedRun, Outcome, Run
from trainer.spec import DataSpec, TrainingSpec

_STAND_IN = TrainingSpec(data=DataSpec(dataset="unreadable"), label=None)
# The first second after the range of protobuf timestamps: the year 10000.
_END_OF_TIME = 253402300800
_SHOWN = 40
_MAX_NUMBER = 2**63 - 1
_ID = re.compile("[A-Za-z0-9-]{1,64}")


class _OddError(Exception):
    """A column has a wrong value."""


def text_of(value: bytes) -> str | bytes:
    """Decode a text of the file, for `sqlite3.Connection.text_factory`; bytes if it isn't UTF-8.

    An exception here would make the query's other rows unreadable, too.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def read(row: sqlite3.Row, path: Path) -> Run | DamagedRun:
    """Convert a row of a file to a run. Checks every column; a wrong value makes a DamagedRun."""
    # The id must be safe in a file name: the run's log has it in its name.
    is_id = isinstance(row["id"], str) and _ID.fullmatch(row["id"]) is not None
    try:
        spec, refusal = _spec(row["spec"])
        _check("id", row["id"], is_id, "at most 64 of A-Z, a-z, 0-9 and '-'")
        _check_text("request_id", "" if row["request_id"] is None else row["request_id"])
        _check("state", row["state"], row["state"] in STATES, f"one of {', '.join(STATES)}")
        for column in ("created_at", "started_at", "ended_at"):
            time = row[column]
            # The schema forbids NULL for the first of them.
            is_time = time is None or (isinstance(time, int | float) and 0 <= time < _END_OF_TIME)
            _check(column, time, is_time, "seconds since 1970")
        return Run(
            number=row["number"],
            id=row["id"],
            request_id=row["request_id"] or "",
            state=row["state"],
            spec=spec,
            created_at=row["created_at"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            outcome=_outcome(row["outcome"]),
            problem=refusal,
        )
    except _OddError as error:
        number = row["number"]
        problem = (
            f"{path}, row {number}: {error}; the trainer didn't write this: restore the file from a "
            "backup, or the row's earlier value"
        )
        return DamagedRun(number=number, id=row["id"] if is_id else "", problem=problem)


def find(database: sqlite3.Connection, column: str, value: object) -> Any:
    """Return the row with a value in a column; None if there is none."""
    # Callers give the name of a column, never a text from outside.
    return database.execute(f"SELECT * FROM runs WHERE {column} = ?", (value,)).fetchone()  # noqa: S608


def why_no_number(database: sqlite3.Connection) -> str:
    """Return why no row number is left for another run; "" if one is left."""
    todo = "so that no number is left for another run: stop the service and"
    (highest,) = database.execute("SELECT max(number) FROM runs").fetchone()
    if highest == _MAX_NUMBER:
        return (
            f"row {highest} has the highest number that is possible, {todo} give it its "
            "earlier number, or restore the file from a backup"
        )
    with contextlib.suppress(sqlite3.OperationalError):
        for (last,) in database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'"):
            if last == _MAX_NUMBER:
                return (
                    f"the last number of 'runs' in the table sqlite_sequence is {last}, the highest "
                    f"possible one, {todo} set it to {highest or 0}, or restore the file from a backup"
                )
    return ""


def encode(outcome: Outcome) -> str:
    """Encode an outcome as JSON for the file. Leaves out metrics that aren't finite."""
    # JSON has neither NaN nor infinity.
    finite = {name: value for name, value in outcome.metrics.items() if abs(value) < float("inf")}
    return msgspec.json.encode(replace(outcome, metrics=finite)).decode()


def _spec(value: Any) -> tuple[TrainingSpec, str]:
    """Decode a spec. If this release refuses it, returns a substitute and the reason, else ""."""
    # Text that isn't JSON is damage. A spec that this release refuses isn't.
    _json("spec", value)
    try:
        return training_spec.decode(value), ""
    except (OptionError, msgspec.ValidationError) as error:
        return _STAND_IN, f"this release of the trainer refuses its spec: {error}"


def _outcome(value: Any) -> Outcome:
    try:
        found = msgspec.convert(_json("outcome", value), Outcome)
    except msgspec.ValidationError as error:
        raise _OddError(f"outcome: {error}") from error
    for name in ("done", "total"):
        count = getattr(found, name)
        if not 0 <= count < 2**63:
            raise _OddError(f"outcome: {name} is {count}, but should be in 0..2^63-1")
    return found


def _json(column: str, value: Any) -> Any:
    _check_text(column, value)
    try:
        return msgspec.json.decode(value)
    except msgspec.MsgspecError as error:
        raise _OddError(f"{column}: {error}") from error
    except RecursionError as error:
        raise _OddError(f"{column}: is nested too deeply") from error


def _check_text(column: str, value: object) -> None:
    _check(column, value, isinstance(value, str), "text in UTF-8")


def _check(column: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise _OddError(f"{column} is {_shown(value)}, but should be {expected}")


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "bytes that aren't text"
    if isinstance(value, str):
        return repr(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")
    return str(value)
