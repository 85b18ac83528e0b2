"""Sends one run to MLflow, in a process: python -m trainer.tracking.mlflow_process PARENT_PID.

The process reads a Parcel from standard input, and writes events to standard output, one JSON object a
line. The process keeps MLflow's client, which takes a second and 130 MB, out of trainings and services.
Killing the process bounds the time that a slow server can take.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from lightfm_retriever.hosting.process import die_with
from trainer.tracking.options import without_credentials
from trainer.tracking.tracked_run import TrackedRun

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_Part = TypeVar("_Part")
# The most that a server takes in one request.
_PARAMETERS, _METRICS = 100, 1000
_DELETED = "deleted"
_SYSTEM_ERROR = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A run, and the server and the experiment that get it."""

    uri: str
    experiment: str
    run: TrackedRun


class Created(msgspec.Struct, tag=True, frozen=True):
    """The server has made a run, which is still empty."""

    experiment_id: str
    run_id: str


class Sent(msgspec.Struct, tag=True, frozen=True):
    """The server has the run. `problem` says why it lacks artefacts; "" if it lacks none."""

    problem: str = ""


class NotSent(msgspec.Struct, tag=True, frozen=True):
    """The server doesn't have the whole run."""

    problem: str


Event = Created | Sent | NotSent


class _UnusableError(Exception):
    """The server can't take the run; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """Send the run. Returns 0 after a Sent or NotSent event."""
    die_with(int(arguments[0]))
    # The client's own output goes to the log.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        parcel = msgspec.json.decode(sys.stdin.buffer.read(), type=Parcel)
        for event in _send(parcel):
            _write(event, output)
    return 0


def _write(event: Event, output: IO[bytes]) -> None:
    output.write(msgspec.json.encode(event) + b"\n")
    output.flush()


def _send(parcel: Parcel) -> Iterator[Event]:
    from mlflow.tracking import MlflowClient

    client, run = MlflowClient(parcel.uri), parcel.run
    try:
        experiment = _experiment(client, parcel.experiment)
        made = client.create_run(
            experiment, start_time=run.started_ms, tags=run.tags, run_name=run.name
        ).info
    except Exception as error:
        yield NotSent(_reason(error))
        return
    yield Created(experiment, made.run_id)
    try:
        _log_figures(client, made.run_id, run)
    except Exception as error:
        # A run without an end would look as if it still ran.
        with contextlib.suppress(Exception):
            client.set_terminated(made.run_id, "FAILED", run.ended_ms)
        yield NotSent(_reason(error))
        return
    problem = _log_artefacts(client, made.run_id, made.artifact_uri or "", run)
    try:
        client.set_terminated(made.run_id, run.status, run.ended_ms)
    except Exception as error:
        yield NotSent(_reason(error))
        return
    yield Sent(problem)


def _experiment(client: MlflowClient, name: str) -> str:
    """Find an experiment, or make it; returns its id."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except Exception:
            # Another run may have made it at this moment.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == _DELETED:
        raise _UnusableError(
            f"its experiment {name!r} is deleted: restore it there, or name another by "
            "--mlflow-experiment"
        )
    return str(found.experiment_id)


def _log_figures(client: MlflowClient, run_id: str, run: TrackedRun) -> None:
    from mlflow.entities import Metric, Param

    for part in _parts([*run.parameters.items()], _PARAMETERS):
        client.log_batch(run_id, params=[Param(name, value) for name, value in part])
    for points in _parts(run.metrics, _METRICS):
        metrics = [Metric(own.name, own.value, run.ended_ms, own.step) for own in points]
        client.log_batch(run_id, metrics=metrics)


def _log_artefacts(client: MlflowClient, run_id: str, place: str, run: TrackedRun) -> str:
    """Send the files; returns why some are missing, or ""."""
    if urlsplit(place).scheme in ("", "file"):
        # The client would write to a folder of this machine that a server chose.
        return (
            f"the server keeps them in {place!r}, which only its clients could write: start it with "
            "--serve-artifacts"
        )
    try:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            for name, text in run.texts.items():
                (folder / name).write_text(text, "utf-8")
            client.log_artifacts(run_id, made)
        for path in run.files:
            client.log_artifact(run_id, path)
    except Exception as error:
        return _reason(error)
    return ""


def _parts(rows: Sequence[_Part], size: int) -> Iterator[Sequence[_Part]]:
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]


def _reason(error: BaseException) -> str:
    """Say in one line why the server couldn't be used, without credentials."""
    from requests import exceptions

    chain, cause = [error], error.__cause__ or error.__context__
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    text = without_credentials(str(error)).strip() or type(error).__name__
    found: Any = _SYSTEM_ERROR.search(text)
    for own in chain:
        if isinstance(own, exceptions.SSLError):
            return f"its certificate isn't trusted: {_brief(text)}"
        if isinstance(own, exceptions.Timeout):
            return "it doesn't answer"
        if isinstance(own, exceptions.ConnectionError):
            if "Read timed out" in text:
                return "it doesn't answer"
            return f"it can't be reached: {found[1].strip() if found else _brief(text)}"
    return _brief(text)


def _brief(text: str) -> str:
    return text.splitlines()[0][:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
