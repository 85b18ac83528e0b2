"""A standalone Spark cluster of the tests' own: a master and workers, on 127.0.0.1."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

MISSING = "there is no Spark here: make spark"
# How long anything may take: an end to waiting for what never comes, not a measure.
_PATIENCE = 60
_MASTER = re.compile(rb"Starting Spark master at (spark://[\d.]+:\d+)")
_REGISTERED = re.compile(rb"Successfully registered with master")


def installed() -> bool:
    """Whether Java and pyspark are there."""
    return shutil.which("java") is not None and importlib.util.find_spec("pyspark") is not None


class Node:
    """A process of the cluster, and what it logs, which tells what it has done."""

    def __init__(self, name: str, folder: Path, *arguments: str) -> None:
        self.name = name
        self._lines: list[bytes] = []
        self._more = threading.Condition()
        home = Path(importlib.util.find_spec("pyspark").origin).parent
        environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
        # What the nodes may not find: this project isn't installed on a cluster.
        environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [home / "bin/spark-class", f"org.apache.spark.deploy.{arguments[0]}", *arguments[1:]],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """The first line of its log that the pattern finds, now or later."""
        with self._more:
            found = self._more.wait_for(lambda: self._find(pattern), _PATIENCE)
            ended = self.process.poll()
        assert found, f"{self.name} (exit status {ended}): {b''.join(self._lines[-20:]).decode()}"
        return found

    def kill(self) -> None:
        """As a machine dies: the process and all that it has started, at once."""
        executors = _children(self.process.pid)
        self.process.kill()
        for pid in executors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.process.wait()
        self._reader.join()

    def _find(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        return next((found for line in self._lines if (found := pattern.search(line))), None)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()


@contextmanager
def cluster(folder: Path, *, workers: int = 2) -> Iterator[SimpleNamespace]:
    """Start a master and workers of a core each, and kill them after the block.

    Its `conf` is what a small executor on each worker needs.
    """
    with contextlib.ExitStack() as running:

        def start(name: str, kind: str, flags: str, *arguments: str) -> Node:
            ports = "--host 127.0.0.1 --port 0 --webui-port 0"
            node = Node(name, folder, kind, *f"{ports} {flags}".split(), *arguments)
            running.callback(node.kill)
            return node

        url = start("master", "master.Master", "").wait_for(_MASTER)[1].decode()
        nodes = []
        for number in range(workers):
            place = ["--work-dir", str(folder / f"worker-{number}")]
            flags = "--cores 1 --memory 640m"
            nodes.append(start(f"worker {number}", "worker.Worker", flags, *place, url))
        for node in nodes:
            node.wait_for(_REGISTERED)
        memory = dict.fromkeys(("spark.driver.memory", "spark.executor.memory"), "512m")
        hosts = dict.fromkeys(("spark.driver.host", "spark.driver.bindAddress"), "127.0.0.1")
        conf = {**hosts, **memory, "spark.pyspark.python": sys.executable}
        yield SimpleNamespace(master=url, workers=nodes, conf=conf)


def _children(pid: int) -> list[int]:
    """All processes below one, by /proc."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything.
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(status.parent.name))
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in parents.get(parent, [])]
        found += new
    return found
