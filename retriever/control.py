"""Messages between the parent and a worker: JSON lines over a socket pair."""

from __future__ import annotations

import signal
import socket

import msgspec

# What the parent handles and workers ignore, though a terminal or a service manager sends it to all.
PARENTS_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Prepare(msgspec.Struct, frozen=True, tag=True):
    """Parent: open this version, which is verified, and answer queries to warm it up."""

    version: str


class Commit(msgspec.Struct, frozen=True, tag=True):
    """Parent: serve this version, which is prepared, from now on."""

    version: str


class Abandon(msgspec.Struct, frozen=True, tag=True):
    """Parent: forget what is prepared."""


class Drain(msgspec.Struct, frozen=True, tag=True):
    """Parent: say NOT_SERVING, take calls for a while, finish those in flight, and exit."""

    drain_seconds: float
    grace_seconds: float


class WorkerFacts(msgspec.Struct, frozen=True):
    """What the parent knows of one worker; times are seconds since the epoch, 0 for none."""

    index: int
    pid: int
    state: str
    version: str
    started_at: float
    serving_since: float
    restarts: int


class ReloadFacts(msgspec.Struct, frozen=True):
    """What became of the latest attempt to load a version."""

    version: str
    succeeded: bool
    reason: str
    seconds: float
    ended_at: float


class Fleet(msgspec.Struct, frozen=True, tag=True):
    """Parent: the state of the whole service, for GetStatus."""

    label: str
    target: str = ""
    version: str = ""
    label_problem: str = ""
    last_reload: ReloadFacts | None = None
    workers: list[WorkerFacts] = []


class Booted(msgspec.Struct, frozen=True, tag=True):
    """Worker: the server takes calls."""


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """Worker: this version is open and warm."""

    version: str


class PrepareFailed(msgspec.Struct, frozen=True, tag=True):
    """Worker: this version can't be served; what served before goes on."""

    version: str
    reason: str


class Committed(msgspec.Struct, frozen=True, tag=True):
    """Worker: this version serves."""

    version: str


ToWorker = Prepare | Commit | Abandon | Drain | Fleet
ToParent = Booted | Prepared | PrepareFailed | Committed


class Lines:
    """Cuts a stream into messages of one type."""

    def __init__(self, of: object) -> None:
        self._decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(of)
        self._rest = b""

    def feed(self, data: bytes) -> list[object]:
        """The messages that are complete with this data."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [self._decoder.decode(line) for line in lines]


def send(connection: socket.socket, message: ToWorker | ToParent) -> None:
    """Send one message; OSError when the other side is gone."""
    connection.sendall(msgspec.json.encode(message) + b"\n")
