"""One retriever of a fleet: its port, its way to the volume, and its process, which comes and goes."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
from pathlib import Path
from typing import Self

from tests.load.fleet_volume import Link
from tests.service import Service, wait_for_the_end


class Member:
    """A retriever that keeps its address when it is started again; a context manager.

    Args:
        name: for people.
        link: how it gets at the volume.
        logs: a folder for what it writes to standard error.
        flags: of `serve`, by their names with _ for -.
    """

    def __init__(self, name: str, link: Link, logs: Path, flags: dict[str, object]) -> None:
        self.name = name
        self.link = link
        self._flags = {**flags, "cache_dir": link.cache}
        self._logs = (logs / f"{name}-{number}.log" for number in itertools.count())
        self._process = contextlib.ExitStack()
        # Holds the port while the retriever is away, as its own parent does while it runs.
        self._port = socket.socket()
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            self._port.setsockopt(socket.SOL_SOCKET, option, 1)
        self._port.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._port.getsockname()[1]}"
        self.service: Service

    def start(self) -> None:
        """Start it; it may not serve yet."""
        self.service = self._process.enter_context(
            Service(
                self.link.volume,
                next(self._logs),
                listen=self.address,
                environment=self.link.environment,
                **self._flags,
            )
        )

    def kill(self) -> None:
        """SIGKILL to the parent; returns when none of its processes is left."""
        pids = self.service.worker_pids()
        self.service.signal(signal.SIGKILL)
        self.service.wait()
        wait_for_the_end(pid for pid in pids if pid)
        self._process.close()

    def stop(self) -> tuple[int, int]:
        """SIGTERM; returns the exit status, and how many of its processes are left."""
        pids = self.service.worker_pids()
        status = self.service.terminate()
        self._process.close()
        return status, sum(Path(f"/proc/{pid}").exists() for pid in pids if pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()
        self._port.close()
