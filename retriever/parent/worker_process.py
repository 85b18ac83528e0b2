"""A worker as the parent sees it: the process, the connection to it, and what it said."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from lightfm_retriever.hosting.process import ONE_THREAD, signals_held_back
from retriever import control
from retriever.config import Config
from retriever.counters import Counters

State = Literal["starting", "booted", "running", "down"]

_RECEIVE_BYTES = 1 << 16
# A worker that is told less than this reads it when it gets to it. More has gathered for minutes.
_MAX_UNSENT_BYTES = 4 << 20


@dataclass(frozen=True)
class WorkerView:
    """What a worker was told and has said.

    Attributes:
        index: its number.
        state: where the process is in its life: it starts, is ready to load, takes calls, is gone.
        version: what it serves, None for nothing.
        preparing: what it was told to prepare and hasn't answered, None for nothing.
        prepared: what it has prepared, None for nothing.
        committing: what it was told to commit and hasn't, None for nothing.
        waits: whether it may be told to take calls, which it hasn't been.
    """

    index: int
    state: State = "running"
    version: str | None = None
    preparing: str | None = None
    prepared: str | None = None
    committing: str | None = None
    waits: bool = False

    @property
    def up(self) -> bool:
        """Whether it can be told to prepare."""
        return self.state in ("booted", "running")

    @property
    def idle(self) -> bool:
        """Whether it is up and has nothing to do for a reload."""
        return self.up and not (self.preparing or self.prepared or self.committing)

    def told(self, message: control.ToWorker) -> WorkerView:
        """The same after it was told something."""
        match message:
            case control.Listen():
                return replace(self, waits=False)
            case control.Prepare(version=version):
                return replace(self, preparing=version, prepared=None)
            case control.Commit(version=version):
                return replace(self, prepared=None, committing=version)
            case control.Abandon():
                return replace(self, preparing=None, prepared=None)
        return self


class WorkerProcess:
    """One slot for a worker: the process in it may be replaced, the number stays.

    Attributes:
        index: the slot's number.
        view: what the process was told and has said.
        ever_ran: whether a process in this slot ever took calls.
        load: what it last said that it does and needs.
        deaths: how often in a row a process ended soon after its start.
        restarts: how often a process was replaced.
        connection: the socket to wait on, None while the worker is down.
    """

    def __init__(
        self,
        index: int,
        config: Config,
        *,
        counters: Counters | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a slot whose processes all count into the same `counters`, if at all."""
        self.index = index
        self._counters = counters
        self.ever_ran = False
        self.deaths = self.restarts = 0
        self.started_at = 0.0
        self._clock = clock
        # When it was last heard, and told to prepare, on the clock.
        self._heard_at = self._prepare_at = 0.0
        self._order = 0
        self._config = config
        self._forget_process()

    def _forget_process(self) -> None:
        self.view = WorkerView(self.index, "down")
        self.serving_since = 0.0
        self.load = control.Load()
        self.connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start a process. A fresh interpreter, not a fork: gRPC and NumPy don't survive one."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        config = msgspec.json.encode(self._config, enc_hook=str).decode()
        command = [sys.executable, "-m", "retriever.worker.worker", config, str(self.index)]
        counting = [] if self._counters is None else [self._counters.descriptor]
        try:
            with theirs, signals_held_back():
                self._process = subprocess.Popen(
                    [*command, str(theirs.fileno()), str(os.getpid()), *map(str, counting)],
                    pass_fds=[theirs.fileno(), *counting],
                    stdin=subprocess.DEVNULL,
                    env={**ONE_THREAD, **os.environ},
                )
        except OSError:
            ours.close()
            raise
        self.connection = ours
        # What didn't fit into the socket's buffer.
        self._unsent = bytearray()
        self._lines = control.Lines(control.ToParent)
        self.view = WorkerView(self.index, "starting")
        self.started_at = time.time()
        self._heard_at = self._clock()

    def silent_seconds(self) -> float:
        """How long it has said nothing; 0 while it is down."""
        return 0.0 if self.view.state == "down" else self._clock() - self._heard_at

    def preparing_seconds(self) -> float:
        """How long it has been preparing; 0 when it isn't."""
        return 0.0 if self.view.preparing is None else self._clock() - self._prepare_at

    @property
    def pid(self) -> int:
        """Process id, 0 while the worker is down."""
        return 0 if self._process is None else self._process.pid

    def send(self, message: control.ToWorker) -> None:
        """Send without waiting; what doesn't fit yet goes when the worker is next heard or told.

        One that hasn't read for long, or is gone, is killed: it comes back.
        """
        if self.connection is None:
            return
        self._unsent += control.encoded(message)
        self._send_on(self.connection)
        if len(self._unsent) > _MAX_UNSENT_BYTES:
            self.kill()

    def _send_on(self, connection: socket.socket) -> None:
        try:
            while self._unsent:
                del self._unsent[: connection.send(self._unsent)]
        except BlockingIOError:
            # It beats each second, also while it reads nothing.
            return
        except OSError:
            self.kill()

    def receive(self) -> tuple[list[object], bool]:
        """What the worker said since, and whether it is still there."""
        if self.connection is None:
            return [], False
        self._send_on(self.connection)
        try:
            data = self.connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return [], True
        except OSError:
            data = b""
        try:
            return self._lines.feed(data), bool(data)
        except msgspec.MsgspecError:
            # Whatever it is that speaks there, it isn't a worker any more.
            self.kill()
            return [], False

    def note(self, message: object) -> bool:
        """Remember what the worker said about itself; whether it counts, as old answers don't."""
        self._heard_at = self._clock()
        match message:
            case control.Booted():
                self.view = replace(self.view, state="booted", waits=True)
            case control.Listening():
                self.view = replace(self.view, state="running")
                self.ever_ran = True
            case control.Beat(load=load):
                self.load = load
            case control.Prepared(order=order) | control.PrepareFailed(order=order):
                version = self.view.preparing
                if version is None or order != self._order:
                    return False
                prepared = version if isinstance(message, control.Prepared) else None
                self.view = replace(self.view, preparing=None, prepared=prepared)
            case control.Committed(version=version):
                self.view = replace(self.view, version=version, prepared=None, committing=None)
                self.serving_since = time.time()
        return True

    def tell(self, message: control.ToWorker) -> None:
        """Tell it to prepare, commit or forget a version, or to take calls."""
        if isinstance(message, control.Prepare):
            self._prepare_at = self._clock()
            self._order += 1
            message = msgspec.structs.replace(message, order=self._order)
        self.view = self.view.told(message)
        self.send(message)

    def bury(self) -> int:
        """Release what a process that closed its connection leaves; returns its exit status."""
        connection, process = self.connection, self._process
        self._forget_process()
        if connection is not None:
            connection.close()
        if process is None:
            return 0
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def facts(self) -> control.WorkerFacts:
        """For GetStatus."""
        return control.WorkerFacts(
            index=self.index,
            pid=self.pid,
            state=self.view.state,
            version=self.view.version or "",
            started_at=self.started_at if self.pid else 0.0,
            serving_since=self.serving_since,
            restarts=self.restarts,
            load=self.load,
        )
