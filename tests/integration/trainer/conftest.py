from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import datasets

ROOT = Path(__file__).parents[3]
QUICK = ("--components", "4", "--epochs", "2", "--seed", "1")


def start(
    *arguments: object, stderr: int = subprocess.PIPE, **environment: str
) -> subprocess.Popen[str]:
    """Start `python -m trainer`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_")}
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *map(str, arguments)],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m trainer` to its end."""
    with start(*arguments, **environment) as process:
        output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Flags of `train` for small files of interactions and items, one of which nobody knows yet."""
    folder = tmp_path_factory.mktemp("files")
    interactions = datasets.write_rows(folder / "interactions.parquet")
    items = datasets.write(
        folder / "items.csv",
        {
            "item_id": [*(f"i{item}" for item in range(datasets.ITEMS)), "new"],
            "title": [*(f"Film {item} – 映画" for item in range(datasets.ITEMS)), "Soon"],
            "genres": [*(["Drama|War", "Drama"] * (datasets.ITEMS // 2)), "War"],
        },
    )
    return ["--interactions", interactions, "--items", items, "--item-features", "genres", *QUICK]


class Trainer:
    """The other end of `training.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, volume: Path, **request: Any) -> int:
        """Let a child begin, and return its process id."""
        print(json.dumps({"volume": str(volume), **request}), file=self._process.stdin, flush=True)
        return self._answer()["pid"]

    def wait_for_publishing(self) -> None:
        """Wait for the last model to be trained."""
        assert "publishing" in self._answer()

    def wait(self) -> dict[str, Any]:
        """Wait for the child to end."""
        answer = self._answer()
        return self._answer() if "publishing" in answer else answer

    def run(self, volume: Path, **request: Any) -> dict[str, Any]:
        self.start(volume, **request)
        return self.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        assert line, f"the trainer ended: {self._process.wait()}"
        return json.loads(line)


@contextmanager
def run_trainer() -> Iterator[Trainer]:
    command = [sys.executable, "-m", "tests.integration.trainer.training"]
    # Threads of numpy and of LightFM would make forking unsafe.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        try:
            yield Trainer(process)
            process.stdin.close()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


@pytest.fixture(scope="session")
def trainer() -> Iterator[Trainer]:
    with run_trainer() as running:
        yield running


@pytest.fixture(scope="session")
def other_trainer() -> Iterator[Trainer]:
    with run_trainer() as running:
        yield running
