"""A real MLflow server of the tests' own, on 127.0.0.1, and servers that misbehave."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.machine import free_port

MISSING = "there is no MLflow server here: make mlflow"
_PROGRAM = Path(__file__).parents[1] / ".mlflow/bin/mlflow"
# How long anything may take: an end to waiting for what never comes, not a measure.
_PATIENCE = 100
_LOOK_SECONDS = 0.2


def installed() -> bool:
    """Whether `make mlflow` has run."""
    return _PROGRAM.exists()


class MlflowServer:
    """A running server, which the tests ask by its REST API, without its client."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def call(self, method: str, **content: Any) -> dict[str, Any]:
        """POST a request."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.uri}/api/2.0/mlflow/{method}",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        return json.loads(self._read(request))

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """All runs of an experiment, the latest first."""
        query = urllib.parse.urlencode({"experiment_name": experiment})
        found = json.loads(self._get(f"api/2.0/mlflow/experiments/get-by-name?{query}"))
        ids = [found["experiment"]["experiment_id"]]
        return self.call("runs/search", experiment_ids=ids, max_results=100).get("runs", [])

    def run_of(self, experiment: str) -> tuple[dict[str, Any], dict[str, str], dict[str, float]]:
        """The only run of an experiment: its info and tags, its parameters, its metrics."""
        [run] = self.runs(experiment)
        parts = {
            part: {own["key"]: own["value"] for own in run["data"].get(part, [])}
            for part in ("params", "metrics", "tags")
        }
        return {**run["info"], "tags": parts["tags"]}, parts["params"], parts["metrics"]

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """The steps of a metric and their values."""
        query = urllib.parse.urlencode({"run_id": run_id, "metric_key": metric})
        found = json.loads(self._get(f"api/2.0/mlflow/metrics/get-history?{query}"))
        return sorted((own.get("step", 0), own["value"]) for own in found.get("metrics", []))

    def artefacts(self, run_id: str) -> list[str]:
        """The names of a run's files."""
        found = json.loads(self._get(f"api/2.0/mlflow/artifacts/list?run_id={run_id}"))
        return sorted(own["path"] for own in found.get("files", []))

    def artefact(self, run_id: str, name: str) -> bytes:
        """One of its files."""
        return self._get(f"get-artifact?run_uuid={run_id}&path={name}")

    def _get(self, path: str) -> bytes:
        return self._read(urllib.request.Request(f"{self.uri}/{path}"))  # noqa: S310

    def _read(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as response:  # noqa: S310
            return response.read()


@contextmanager
def server(folder: Path, *flags: str) -> Iterator[MlflowServer]:
    """Start a server, and kill it after the block.

    Args:
        folder: gets its database, its artefacts and its log.
        flags: about its artefacts; by default it keeps them itself.
    """
    port = free_port()
    command = [_PROGRAM, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += flags or ["--artifacts-destination", str(folder / "artefacts")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = folder / "mlflow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **quiet},
            stdout=output,
            stderr=subprocess.STDOUT,
            # It starts processes of its own, which end with the group.
            start_new_session=True,
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        _wait_for(f"{uri}/health", process, log)
        yield MlflowServer(uri)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=_PATIENCE):  # noqa: S310
            return
        time.sleep(_LOOK_SECONDS)
    raise AssertionError(f"the MLflow server doesn't serve: {log.read_text()[-2000:]}")


@contextmanager
def misbehaving(answer: Callable[[socket.socket], None] | None) -> Iterator[str]:
    """Listen as a server would; `answer` gets each connection, or nobody ever answers.

    Yields its address.
    """
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def serve() -> None:
            open_ones = []
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listening.accept()
                    open_ones.append(connection)
                    if answer is not None:
                        connection.settimeout(_PATIENCE)
                        answer(connection)
            for connection in open_ones:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def says(response: bytes) -> Callable[[socket.socket], None]:
    """Answer each connection with these bytes, and close it."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(response)
        connection.close()

    return answer


def drips(connection: socket.socket) -> None:
    """Answer so slowly that no wait for the next byte is long, until the caller has gone."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(10 * _PATIENCE):
            connection.sendall(b" ")
            time.sleep(0.1)
