"""Sends a run to MLflow by a process, which is killed when it takes too long."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from lightfm_retriever.hosting import words
from trainer.notes import NOTE
from trainer.tracking.mlflow_process import Created, Event, NotSent, Parcel, Sent
from trainer.tracking.options import TrackingOptions, without_credentials
from trainer.tracking.tracked_run import TrackedRun

# The longest wait for the answer to one request.
_ANSWER_SECONDS = 5
_DECODER = msgspec.json.Decoder(Event)


@dataclass(frozen=True)
class Delivery:
    """The outcome of sending a run.

    Attributes:
        url: page of the run; "" if the server has made none.
        problem: why the server lacks the run or a part of it; "" if it has all.
    """

    url: str
    problem: str

    def told(self, name: str, address: str) -> str:
        """Describe the outcome in a sentence, as a note or as a warning."""
        if not self.problem:
            return f"{NOTE}{name} is in MLflow: {self.url}"
        told = f"is only in part ({self.url})" if self.url else "isn't"
        return f"{name} {told} in MLflow at {address}: {self.problem}; the run itself isn't affected"


def send(run: TrackedRun, options: TrackingOptions, *, seconds: float | None = None) -> Delivery:
    """Send a run, and wait for it up to `seconds`, by default as long as the options allow.

    Never fails: the result has the problem.
    """
    allowed = options.seconds if seconds is None else seconds
    parcel = Parcel(uri=options.uri or "", experiment=options.experiment, run=run)
    try:
        lines, ended = _run(msgspec.json.encode(parcel), allowed)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        return Delivery("", f"it can't be sent: {words.reason(error)}")
    url, problem = "", ended
    for line in lines:
        match _decoded(line):
            case Created(experiment_id, run_id):
                url = f"{options.address}/#/experiments/{quote(experiment_id)}/runs/{quote(run_id)}"
            case Sent(missing):
                problem = f"its artefacts are missing: {missing}" if missing else ""
            case NotSent(why):
                problem = why
    return Delivery(url, problem)


def _run(parcel: bytes, seconds: float) -> tuple[list[bytes], str]:
    """Run the process; returns its lines, and how it ended if no line says so."""
    with subprocess.Popen(
        [sys.executable, "-m", "trainer.tracking.mlflow_process", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(seconds),
        # Ctrl-C ends the command, which then tells of its end.
        process_group=0,
    ) as process:
        try:
            output, errors = process.communicate(parcel, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            return output.splitlines(), f"it took longer than {seconds:g} s"
        except BaseException:
            process.kill()
            raise
    last = errors.decode("utf-8", "replace").strip().splitlines()[-1:]
    why = without_credentials("".join(last)) or f"exit status {process.returncode}"
    return output.splitlines(), f"its process failed: {why}"


def _environment(seconds: float) -> dict[str, str]:
    """Return the variables of the process. The operator's own values have priority."""
    ours = {
        # A request that isn't answered is tried once more, within the time of the process.
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, min(_ANSWER_SECONDS, int(seconds / 3)))),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # Otherwise it tells its makers of its use.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    return {**ours, **os.environ}


def _decoded(line: bytes) -> Event | None:
    """Parse a line; None for a line that the end of the process cut off."""
    try:
        event: Event = _DECODER.decode(line)
    except msgspec.MsgspecError:
        return None
    return event
