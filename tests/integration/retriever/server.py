"""A service of real processes, and what tests do with it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

ROOT = Path(__file__).parents[3]
# How long anything may take: an end to waiting for what never comes, not a measure.
PATIENCE = 30
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Log:
    """What the service writes to standard error, as it comes."""

    def __init__(self, stream):
        self._stream = stream
        self._lines: list[str] = []
        self._came = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._stream:
            with self._came:
                self._lines.append(line)
                self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()

    @property
    def text(self) -> str:
        with self._came:
            return "".join(self._lines)

    def wait_for(self, pattern: str, *, times: int = 1) -> None:
        """Wait until so many lines hold a match."""
        with self._came:

            def enough():
                return sum(bool(re.search(pattern, line)) for line in self._lines) >= times

            found = self._came.wait_for(lambda: enough() or self._ended, PATIENCE)
            assert found, f"{pattern!r} didn't come in time:\n{''.join(self._lines)}"
            assert enough(), f"the service ended before {pattern!r}:\n{''.join(self._lines)}"

    def wait_for_end(self) -> str:
        """Everything, once no process holds standard error any more."""
        self._thread.join(PATIENCE)
        assert self._ended, f"some process still holds standard error:\n{self.text}"
        return self.text


class Server:
    """`python -m retriever serve`; a context manager that leaves no process behind.

    Attributes:
        process: the parent.
        address: where it listens.
        log: what it writes to standard error.
    """

    def __init__(
        self,
        volume: Path,
        *flags: str,
        listen: str = "127.0.0.1:0",
        workers: int = 2,
        environment: Mapping[str, str] | None = None,
    ):
        command = [sys.executable, "-m", "retriever", "serve", "--volume", str(volume)]
        command += ["--listen", listen, "--workers", str(workers), "--poll-seconds", "0.05"]
        command += ["--drain-seconds", "0", "--grace-seconds", "5", *flags]
        self.workers = workers
        self._stack = ExitStack()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # So that a test can do what Ctrl-C does, without ending the tests.
            process_group=0,
        )
        self.log = Log(self.process.stderr)
        self.address = ""
        self._seen: set[int] = set()

    def __enter__(self) -> Self:
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (\S+) with (\d+) workers, pid (\d+)\n", line)
        assert found, f"it said {line!r}:\n{self.log.wait_for_end()}"
        assert (int(found[2]), int(found[3])) == (self.workers, self.process.pid)
        self.address = found[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self.process.poll() is None and error is None:
                self.stop()
        finally:
            self._stack.close()
            for pid in {self.process.pid, *self._seen, *self.children()}:
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process.stdout.close()

    # ---- asking

    def channel(self) -> grpc.Channel:
        """A connection of its own, which the kernel gives to one of the workers."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        return self._stack.enter_context(grpc.insecure_channel(self.address, options=options))

    def stub(self) -> pb_grpc.RetrieverServiceStub:
        return pb_grpc.RetrieverServiceStub(self.channel())

    def health(self, status: int, service: str = "") -> None:
        """Wait until some worker says this of its health."""
        watch = health_pb2_grpc.HealthStub(self.channel()).Watch(
            health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE, wait_for_ready=True
        )
        for response in watch:
            if response.status == status:
                watch.cancel()
                return
        raise AssertionError(f"it never said {status}")

    def status(self) -> pb.GetStatusResponse:
        return self.stub().GetStatus(pb.GetStatusRequest(), timeout=PATIENCE, wait_for_ready=True)

    def status_when(self, condition: Callable[[pb.GetStatusResponse], bool]) -> pb.GetStatusResponse:
        """Ask until the answer is the one that is waited for."""
        stub = self.stub()
        deadline = time.monotonic() + PATIENCE
        while True:
            status = stub.GetStatus(pb.GetStatusRequest(), timeout=PATIENCE, wait_for_ready=True)
            if condition(status):
                self._seen |= {worker.pid for worker in status.workers if worker.pid}
                return status
            assert time.monotonic() < deadline, status

    def wait_until_all_serve(self, version: str) -> pb.GetStatusResponse:
        """Wait until every worker serves a version, and all of them have said so."""
        return self.status_when(
            lambda status: [worker.version for worker in status.workers] == [version] * self.workers
        )

    def wait_until_nobody_listens(self) -> None:
        host, port = self.address.rsplit(":", 1)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), timeout=PATIENCE).close()
            except ConnectionError:
                return
        raise AssertionError(f"somebody listens on {self.address}")

    # ---- processes

    def children(self) -> list[int]:
        """Process ids of the parent's children, dead ones left out."""
        try:
            text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except OSError:
            return []
        return [pid for pid in map(int, text.split()) if is_alive(pid)]

    def stop(self, number: int = signal.SIGTERM, *, status: int = 0) -> str:
        """Send a signal to the parent, then see `wait_for_end`."""
        self.process.send_signal(number)
        return self.wait_for_end(status=status)

    def wait_for_end(self, *, status: int) -> str:
        """Check how the parent ends and that no process stays. Returns the log."""
        self._seen |= {*self.children()}
        assert self.process.wait(PATIENCE) == status, self.log.text
        # A process that stayed would hold standard error.
        text = self.log.wait_for_end()
        assert [pid for pid in self._seen if is_alive(pid)] == []
        return text


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and isn't waited for doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
