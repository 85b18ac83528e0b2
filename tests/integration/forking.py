"""Our end of a process that forks a child for each request, for tests that kill the children."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Forker:
    """Sends requests to such a process, and hears what becomes of them."""

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
        assert line, f"{self._process.args} ended: {self._process.wait()}"
        return json.loads(line)

    @classmethod
    @contextmanager
    def of(cls, module: str) -> Iterator[Any]:
        """Run a module; it ends with the block."""
        # Threads of numpy and of LightFM would make forking unsafe.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as process:
            try:
                yield cls(process)
                process.stdin.close()
                assert process.wait(timeout=30) == 0
            finally:
                process.kill()
