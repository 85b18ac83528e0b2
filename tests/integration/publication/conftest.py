from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


class Publisher:
    """The other end of `publisher.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, volume: Path, **request: Any) -> int:
        """Let a child begin, and return its process id."""
        print(json.dumps({"volume": str(volume), **request}), file=self._process.stdin, flush=True)
        return self._answer()["pid"]

    def wait(self) -> dict[str, Any]:
        """Wait for the child to end."""
        return self._answer()

    def run(self, volume: Path, **request: Any) -> dict[str, Any]:
        self.start(volume, **request)
        return self.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        assert line, f"the publisher ended: {self._process.wait()}"
        return json.loads(line)


@contextmanager
def run_publisher():
    command = [sys.executable, "-m", "tests.integration.publication.publisher"]
    # numpy's threads would make forking unsafe.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        try:
            yield Publisher(process)
            process.stdin.close()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


@pytest.fixture(scope="session")
def publisher():
    with run_publisher() as running:
        yield running


@pytest.fixture(scope="session")
def other_publisher():
    with run_publisher() as running:
        yield running
