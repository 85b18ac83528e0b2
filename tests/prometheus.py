"""A Prometheus of the tests' own, on 127.0.0.1."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.machine import free_port

FILES = Path(__file__).parents[1] / "docker/prometheus"
MISSING = "there is no Prometheus here: apt-get install prometheus, or make prometheus"
# How long anything may take: an end to waiting for what never comes, not a measure.
_PATIENCE = 30
# Between two looks at what nothing tells of.
_LOOK_SECONDS = 0.05


def installed() -> bool:
    """Whether its programs are there."""
    return None not in (shutil.which("prometheus"), shutil.which("promtool"))


def promtool() -> str:
    """The program that checks its files."""
    return shutil.which("promtool") or "promtool"


@dataclass(frozen=True)
class Prometheus:
    """A running one, by its HTTP API at `url`."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """What a method of the API answers; HTTPError when it refuses."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=_PATIENCE) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def query(self, expression: str) -> dict[tuple[str, ...], float]:
        """The values of an instant vector, by those of the labels in their names' order."""
        found = self.get("query", query=expression)["result"]
        return {
            tuple(value for _, value in sorted(series["metric"].items())): float(series["value"][1])
            for series in found
        }

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def wait_for(self, asked: str | Callable[[], Any], expected: Any) -> None:
        """Wait until a query, or a function, answers this."""
        end = time.monotonic() + _PATIENCE
        ask = (lambda: self.query(asked)) if isinstance(asked, str) else asked
        while (found := ask()) != expected:
            assert time.monotonic() < end, f"{asked} is still {found}"
            time.sleep(_LOOK_SECONDS)


@contextmanager
def scraping(directory: Path, targets: Mapping[str, Sequence[str]]) -> Iterator[Prometheus]:
    """Start one with the configuration of docker/prometheus, and end it after the block.

    Its targets are replaced, and its patience: it scrapes and judges all the time, and an alert fires
    as soon as its expression holds.

    Args:
        directory: where nothing else writes.
        targets: HOST:PORT by the job's name.
    """
    config = yaml.safe_load((FILES / "prometheus.yaml").read_text())
    quick = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    config["global"] = dict.fromkeys(quick, "250ms")
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [*targets[job["job_name"]]]}]
    rules = yaml.safe_load((FILES / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (directory / "alerts.yaml").write_text(yaml.safe_dump(rules))
    port = free_port()
    command = ["prometheus", f"--config.file={directory}/prometheus.yaml"]
    command += [f"--storage.tsdb.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}"]
    command += ["--log.level=warn"]
    log = directory / "log"
    with log.open("wb") as errors, subprocess.Popen(command, stderr=errors) as process:
        try:
            running = Prometheus(f"http://127.0.0.1:{port}")
            running.wait_for(lambda: _is_ready(running, process, log), True)
            yield running
        finally:
            process.kill()


def _is_ready(running: Prometheus, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        with urlopen(f"{running.url}/-/ready", timeout=_PATIENCE) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (URLError, ConnectionError):
        return False
