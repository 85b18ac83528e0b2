"""Rows of the file of runs <-> runs. Somebody may have changed a row, so nothing in one is trusted."""

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
# The first second that a message's timestamp can't have: the year 10000.
_END_OF_TIME = 253402300800
_SHOWN = 40
_MAX_NUMBER = 2**63 - 1
_ID = re.compile("[A-Za-z0-9-]{1,64}")


class _OddError(Exception):
    """What is odd about a column."""


def text_of(value: bytes) -> str | bytes:
    """A text of the file, for `sqlite3.Connection.text_factory`; bytes when it isn't UTF-8.

    An exception here would make the other rows of a query unreadable as well.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def read(row: sqlite3.Row, path: Path) -> Run | DamagedRun:
    """The run of a row of a file; every column is checked."""
    # A run's log has its id in its name.
    is_id = isinstance(row["id"], str) and _ID.fullmatch(row["id"]) is not None
    try:
        spec, refusal = _spec(row["spec"])
        _check("id", row["id"], is_id, "at most 64 of A-Z, a-z, 0-9 and '-'")
        _check_text("request_id", "" if row["request_id"] is None else row["request_id"])
        _check("state", row["state"], row["state"] in STATES, f"one of {', '.join(STATES)}")
        for column in ("created_at", "started_at", "ended_at"):
            time = row[column]
            # The file has no row without the first of them.
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
            f"{path}, row {number}: {error}; the trainer didn't write that: restore the file from a "
            "backup, or put back what the row had"
        )
        return DamagedRun(number=number, id=row["id"] if is_id else "", problem=problem)


def find(database: sqlite3.Connection, column: str, value: object) -> Any:
    """The row that has a value in a column; None for none."""
    # The column is one of ours.
    return database.execute(f"SELECT * FROM runs WHERE {column} = ?", (value,)).fetchone()  # noqa: S608


def why_no_number(database: sqlite3.Connection) -> str:
    """Why no run can be queued when somebody used up the numbers of rows; else ""."""
    todo = "which leaves none for another run: stop the service and"
    (highest,) = database.execute("SELECT max(number) FROM runs").fetchone()
    if highest == _MAX_NUMBER:
        return (
            f"row {highest} has the highest number that there can be, {todo} give it the number that "
            "it had, or restore the file from a backup"
        )
    with contextlib.suppress(sqlite3.OperationalError):
        for (last,) in database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'"):
            if last == _MAX_NUMBER:
                return (
                    f"the last number of 'runs' in the table sqlite_sequence is {last}, the highest "
                    f"that there can be, {todo} set it to {highest or 0}, or restore the file from a "
                    "backup"
                )
    return ""


def encode(outcome: Outcome) -> str:
    """An outcome as it is stored."""
    # JSON has no NaN; a metric that isn't a number is none.
    finite = {name: value for name, value in outcome.metrics.items() if abs(value) < float("inf")}
    return msgspec.json.encode(replace(outcome, metrics=finite)).decode()


def _spec(value: Any) -> tuple[TrainingSpec, str]:
    """A spec and ""; when another release accepted what this one refuses, a stand-in and the reason."""
    # That it is JSON is another matter than what it says.
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
        return "bytes that are no text"
    if isinstance(value, str):
        return repr(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")
    return str(value)
