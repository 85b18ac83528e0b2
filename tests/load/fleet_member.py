"""Runs one retriever of a fleet: its port, its network to the volume, and its process."""

import contextlib
import itertools
import signal
import socket
from pathlib import Path
from typing import Self

from tests.fault_proxy import FaultProxy
from tests.seaweedfs import Server
from tests.service import Service, wait_for_the_end

VOLUME = "fleet"


class Member:
    """A retriever that keeps its address when it restarts. It is a context manager.

    Args:
        name: name for people.
        server: object store with the volume.
        proxy: the retriever's connection to the store, which can be cut.
        directory: folder for its cache and its log.
        flags: flags of `serve`, by their names with _ for -.
    """

    def __init__(
        self, name: str, server: Server, proxy: FaultProxy, directory: Path, flags: dict[str, object]
    ) -> None:
        self.name = name
        self.service: Service
        self._volume = server.url(VOLUME)
        self._environment = {**server.environment, "AWS_ENDPOINT_URL": proxy.endpoint}
        self._proxy = proxy
        self._flags = {**flags, "cache_dir": directory / name}
        self._logs = (directory / f"{name}-{number}.log" for number in itertools.count())
        self._process = contextlib.ExitStack()
        # Hold the port while the retriever is away, as its own parent does while it runs.
        self._port = socket.socket()
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            self._port.setsockopt(socket.SOL_SOCKET, option, 1)
        self._port.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._port.getsockname()[1]}"

    def start(self) -> None:
        """Start the retriever, without waiting until it serves."""
        self.service = self._process.enter_context(
            Service(
                self._volume,
                next(self._logs),
                listen=self.address,
                environment=self._environment,
                **self._flags,
            )
        )

    def kill(self) -> None:
        """Kill the parent (SIGKILL). Returns when none of its processes is left."""
        pids = self.service.worker_pids()
        self.service.signal(signal.SIGKILL)
        self.service.wait()
        wait_for_the_end(pid for pid in pids if pid)
        self._process.close()

    def stop(self) -> tuple[int, int]:
        """Stop the retriever (SIGTERM). Returns the exit status, and the number of processes left."""
        pids = self.service.worker_pids()
        status = self.service.terminate()
        self._process.close()
        return status, sum(Path(f"/proc/{pid}").exists() for pid in pids if pid)

    def cut(self, *, silently: bool) -> None:
        """Cut it off from the store: close all connections, or let no bytes through."""
        if silently:
            self._proxy.hang()
        else:
            self._proxy.refuse()

    def mend(self) -> None:
        """Connect it to the store again."""
        self._proxy.forward()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()
        self._port.close()
