"""A worker as the parent sees it: the process, the connection to it, and what it said."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from lightfm_retriever.hosting.process import ONE_THREAD, signals_held_back
from retriever import control
from retriever.config import Config
from retriever.counters import Counters
from retriever.version_files import Files

State = Literal["starting", "booted", "running", "down"]

_RECEIVE_BYTES = 1 << 16
# A worker that is told less than this reads it when it gets to it. More has gathered for minutes.
_MAX_UNSENT_BYTES = 4 << 20


class WorkerProcess:
    """One slot for a worker: the process in it may be replaced, the number stays.

    Attributes:
        index: the slot's number.
        state: where the process is in its life: it starts, is ready to load, takes calls, is gone.
        version: what it serves, None for nothing.
        preparing: what it was told to prepare and hasn't answered, None for nothing.
        prepared: what it has prepared, None for nothing.
        committing: what it was told to commit and hasn't, None for nothing.
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
        self.deaths = 0
        self.restarts = 0
        self.started_at = 0.0
        self._clock = clock
        # When it was last heard, and told to prepare, on the clock.
        self._heard_at = 0.0
        self._prepare_at = 0.0
        self._order = 0
        self._config = config
        self._forget_process()

    def _forget_process(self) -> None:
        self.state: State = "down"
        self.version: str | None = None
        self.preparing: str | None = None
        self.prepared: str | None = None
        self.committing: str | None = None
        self.serving_since = 0.0
        self.load = control.Load()
        self.connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._told_to_listen = False

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
        self.state = "starting"
        self.started_at = time.time()
        self._heard_at = self._clock()

    @property
    def up(self) -> bool:
        """Whether it can be told to prepare."""
        return self.state in ("booted", "running")

    @property
    def waits(self) -> bool:
        """Whether it may be told to take calls, which it hasn't been."""
        return self.state == "booted" and not self._told_to_listen

    def silent_seconds(self) -> float:
        """How long it has said nothing; 0 while it is down."""
        return 0.0 if self.state == "down" else self._clock() - self._heard_at

    def preparing_seconds(self) -> float:
        """How long it has been preparing; 0 when it isn't."""
        return 0.0 if self.preparing is None else self._clock() - self._prepare_at

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
                self.state = "booted"
            case control.Listening():
                self.state = "running"
                self.ever_ran = True
            case control.Beat(load=load):
                self.load = load
            case control.Prepared(order=order) | control.PrepareFailed(order=order):
                if self.preparing is None or order != self._order:
                    return False
                if isinstance(message, control.Prepared):
                    self.prepared = self.preparing
                self.preparing = None
            case control.Committed(version=version):
                self.version, self.prepared, self.committing = version, None, None
                self.serving_since = time.time()
        return True

    def listen(self) -> None:
        """Tell it to take calls, once."""
        if self.waits:
            self._told_to_listen = True
            self.send(control.Listen())

    def prepare(self, version: str, files: Files) -> None:
        """Tell it to prepare a version that has these files."""
        self.preparing, self.prepared = version, None
        self._prepare_at = self._clock()
        self._order += 1
        self.send(control.Prepare(version, self._order, files))

    def commit(self, version: str) -> None:
        """Tell it to serve what it has prepared."""
        self.prepared, self.committing = None, version
        self.send(control.Commit(version))

    def abandon(self) -> None:
        """Tell it to forget what it has prepared."""
        self.preparing = self.prepared = None
        self.send(control.Abandon())

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
            state=self.state,
            version=self.version or "",
            started_at=self.started_at if self.pid else 0.0,
            serving_since=self.serving_since,
            restarts=self.restarts,
            load=self.load,
        )
