import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import datasets
from tests.integration.forking import ROOT, Forker
from trainer.__main__ import main

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


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process; returns its exit status, output and errors."""

    def here(*arguments: object) -> tuple[int, str, str]:
        status = main([*map(str, arguments)])
        return status, *capsys.readouterr()

    return here


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


class Trainer(Forker):
    """The other end of `training.py`, which also tells when it begins to publish."""

    def wait_for_publishing(self) -> None:
        """Wait for the last model to be trained."""
        assert "publishing" in self._answer()

    def wait(self) -> dict[str, Any]:
        """Wait for the child to end."""
        answer = self._answer()
        return self._answer() if "publishing" in answer else answer


@pytest.fixture(scope="session")
def trainer() -> Iterator[Trainer]:
    with Trainer.of("tests.integration.trainer.training") as running:
        yield running
