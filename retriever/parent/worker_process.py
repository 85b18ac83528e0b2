"""A worker as the parent sees it: the process, the connection, and the messages of the worker."""

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
# Less than this waits until the worker reads it. More means that the worker hasn't read for minutes.
_MAX_UNSENT_BYTES = 4 << 20


@dataclass(frozen=True)
class WorkerView:
    """The state of a worker, from the messages that it got and sent.

    Attributes:
        index: number of the worker.
        state: state of the process: it starts, is ready to load, takes calls, or has ended.
        version: the version that it serves, None for none.
        preparing: the version that it was ordered to prepare and hasn't replied to, None for none.
        prepared: the version that it has prepared, None for none.
        committing: the version that it was ordered to commit and hasn't, None for none.
        waits: whether it is ready for Listen and hasn't got it.
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
        """Return whether the worker can be ordered to prepare."""
        return self.state in ("booted", "running")

    @property
    def idle(self) -> bool:
        """Return whether the worker is up and has nothing to do for a reload."""
        return self.up and not (self.preparing or self.prepared or self.committing)

    def told(self, message: control.ToWorker) -> WorkerView:
        """Return the view after a message was sent to the worker."""
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
    """One slot for a worker. The process in the slot may be replaced; the number stays.

    Attributes:
        index: number of the slot.
        view: state of the process.
        ever_ran: whether a process in this slot ever took calls.
        load: the counts and measurements of the latest heartbeat.
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
        """Make a slot. All processes of the slot count into the same `counters`, if there are any."""
        self.index = index
        self._counters = counters
        self.ever_ran = False
        self.deaths = self.restarts = 0
        self.started_at = 0.0
        self._clock = clock
        # Times of the latest message and of the latest order to prepare.
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
        """Start a process. A fresh interpreter, not a fork: gRPC and NumPy don't survive a fork."""
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
        # Messages that didn't fit into the buffer of the socket.
        self._unsent = bytearray()
        self._lines = control.Lines(control.ToParent)
        self.view = WorkerView(self.index, "starting")
        self.started_at = time.time()
        self._heard_at = self._clock()

    def silent_seconds(self) -> float:
        """Return the seconds since the latest message; 0 while the worker is down."""
        return 0.0 if self.view.state == "down" else self._clock() - self._heard_at

    def preparing_seconds(self) -> float:
        """Return how long the worker has been preparing; 0 when it isn't."""
        return 0.0 if self.view.preparing is None else self._clock() - self._prepare_at

    @property
    def pid(self) -> int:
        """Process id, 0 while the worker is down."""
        return 0 if self._process is None else self._process.pid

    def send(self, message: control.ToWorker) -> None:
        """Send a message without waiting. A rest that doesn't fit is sent with the next one, or later.

        A worker that hasn't read for long, or has gone, is killed and then restarted.
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
            # The rest is sent at the next heartbeat, which comes even while the worker reads nothing.
            return
        except OSError:
            self.kill()

    def receive(self) -> tuple[list[object], bool]:
        """Return the new messages of the worker, and whether it is still connected."""
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
            # The process sends something else than messages: it doesn't work as a worker any more.
            self.kill()
            return [], False

    def note(self, message: object) -> bool:
        """Update the view with a message. Returns False for a reply to an outdated order."""
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
        """Order the worker to prepare, commit or forget a version, or to take calls."""
        if isinstance(message, control.Prepare):
            self._prepare_at = self._clock()
            self._order += 1
            message = msgspec.structs.replace(message, order=self._order)
        self.view = self.view.told(message)
        self.send(message)

    def bury(self) -> int:
        """Clean up after a process that closed its connection. Returns its exit status."""
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
        """Kill the process."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def facts(self) -> control.WorkerFacts:
        """Return the facts for GetStatus."""
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
