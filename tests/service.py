"""A retriever as its operator sees it: a process, its status, and what the system says of it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity
from retriever.client import RetrieverClient, UnreachableError, open_channel
from tests.machine import figures

# How long anything may take: an end to waiting for what never comes, not a measure.
PATIENCE = 30

# Between two looks at a status: nothing tells of its changes.
_LOOK_SECONDS = 0.03


@dataclass(frozen=True)
class Resources:
    """What a process holds: open files, maps of files, private bytes.

    Connections and threads come and go with the callers, so sockets and anonymous maps don't count.
    """

    files: int
    maps: int
    private_bytes: int

    @classmethod
    def of(cls, pid: int) -> Resources:
        process = Path(f"/proc/{pid}")
        rollup = figures(process / "smaps_rollup")
        return cls(
            files=sum(_is_file(process / "fd" / name) for name in os.listdir(process / "fd")),
            maps=sum("/" in line for line in (process / "maps").read_text().splitlines()),
            private_bytes=sum(own for name, own in rollup.items() if name.startswith("Private_")),
        )


@contextlib.contextmanager
def watch_health(target: str) -> Iterator[Iterator[str]]:
    """The states that one worker's health goes through, as they come; ends when the worker does."""
    with open_channel(target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=2 * PATIENCE, wait_for_ready=True
        )

        def states() -> Iterator[str]:
            with contextlib.suppress(grpc.RpcError):
                for response in watch:
                    yield health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)

        yield states()
        watch.cancel()


def wait_for_the_end(pids: Iterable[int], *, seconds: float = PATIENCE) -> None:
    """Wait until processes that needn't be our children are gone."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([descriptor], [], [], seconds)
        finally:
            os.close(descriptor)
        assert ended, f"process {pid} lives on"


def _is_file(descriptor: Path) -> bool:
    try:
        return descriptor.readlink().is_absolute()
    except FileNotFoundError:
        return False


class ServiceProcess:
    """A service as its operator starts it; a context manager that leaves no process.

    Args:
        command: that starts it.
        log: where its standard error goes, after what the file has already.
        environment: all its variables.
        flags: of the command line, by their names with _ for -; True for a flag without a value, a
            list for one that is given several times.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        flags: Mapping[str, object],
    ) -> None:
        given = [*command]
        for name, value in flags.items():
            for own in value if isinstance(value, list) else [value]:
                given += [f"--{name.replace('_', '-')}"] + ([] if own is True else [str(own)])
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                given,
                stdout=subprocess.PIPE,
                stderr=errors,
                process_group=0,
                env=environment,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        if not line:
            raise RuntimeError(f"it didn't start: {self.log}")
        self.target = line[2]
        self._stack = contextlib.ExitStack()

    @property
    def pid(self) -> int:
        """Its process id; of a retriever the parent's."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, *, seconds: float = PATIENCE) -> int:
        """Wait for its end; returns the exit status."""
        return self._process.wait(timeout=seconds)

    def terminate(self, *, seconds: float = PATIENCE) -> int:
        """Send SIGTERM and wait; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def kill(self) -> None:
        """End it at once, as a power cut would; its own processes die with it."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Service(ServiceProcess):
    """`python -m retriever serve`, and connections to it.

    Args:
        volume: what it serves from.
        log: where its standard error goes.
        listen: where it listens; a free port of 127.0.0.1 by default.
        prefix: a command that starts it.
        environment: variables beside our own.
        security: of the connections to it.
        flags: of the command line.
    """

    def __init__(
        self,
        volume: Path,
        log: Path,
        *,
        listen: str = "127.0.0.1:0",
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        security: ClientSecurity = PLAIN,
        **flags: object,
    ) -> None:
        command = [*prefix, sys.executable, "-m", "retriever", "serve", "--volume", str(volume)]
        log.unlink(missing_ok=True)
        command += ["--listen", listen]
        super().__init__(command, log, {**os.environ, **(environment or {})}, flags)
        self._client = self._stack.enter_context(
            RetrieverClient(self.target, connections=1, security=security)
        )

    def channel(self) -> grpc.Channel:
        """A connection of its own, which the kernel gives to one of the workers; it never retries."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        return self._stack.enter_context(grpc.insecure_channel(self.target, options=options))

    def stub(self) -> pb_grpc.RetrieverServiceStub:
        """A stub with a connection of its own."""
        return pb_grpc.RetrieverServiceStub(self.channel())

    def status(self) -> pb.GetStatusResponse:
        """What GetStatus answers, once a worker listens."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self._client.status(timeout_seconds=PATIENCE)
            except UnreachableError as error:
                if error.cause != "refused" or time.monotonic() > end:
                    raise

    def worker_pids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in self.status().workers]

    def wait_until(
        self, holds: Callable[[pb.GetStatusResponse], object], *, seconds: float = PATIENCE
    ) -> pb.GetStatusResponse:
        """Wait until a status is as wanted; returns it. TimeoutError with the last one."""
        end = time.monotonic() + seconds
        while not holds(status := self.status()):
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds} s the status is still: {status}")
            time.sleep(_LOOK_SECONDS)
        return status

    def wait_until_all_serve(self, version: str, *, seconds: float = PATIENCE) -> pb.GetStatusResponse:
        """Wait until every worker serves a version."""
        return self.wait_until(
            # A worker that has just begun to answer may not have been told of any yet.
            lambda status: {worker.version for worker in status.workers} == {version},
            seconds=seconds,
        )

    def resources(self) -> dict[str, Resources]:
        """By process: the parent and each worker."""
        workers = {f"worker {worker.index}": worker.pid for worker in self.status().workers}
        return {name: Resources.of(pid) for name, pid in {"parent": self.pid, **workers}.items()}
