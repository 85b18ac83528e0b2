"""Messages between the parent and a worker: JSON lines over a socket pair.

A worker boots and sends Booted. The parent lets it prepare the version that the other workers serve, if
there is one, and then sends Listen. A separate thread of the worker sends a Beat every second.
"""

from __future__ import annotations

import msgspec

from retriever.version_files import Files


class Listen(msgspec.Struct, frozen=True, tag=True):
    """Parent: start to take calls."""


class Prepare(msgspec.Struct, frozen=True, tag=True):
    """Parent: open this verified version, and warm it up with queries.

    `files` are the verified files; the worker must not open others. `order` is a new number each time
    and is part of the reply. The parent ignores a reply to an order that it has withdrawn.
    """

    version: str
    order: int = 0
    files: Files = {}


class Commit(msgspec.Struct, frozen=True, tag=True):
    """Parent: start to serve this prepared version."""

    version: str


class Abandon(msgspec.Struct, frozen=True, tag=True):
    """Parent: forget the prepared version."""


class Drain(msgspec.Struct, frozen=True, tag=True):
    """Parent: report NOT_SERVING, take calls for `drain_seconds`, finish calls in flight, and exit."""

    drain_seconds: float
    grace_seconds: float


class Load(msgspec.Struct, frozen=True):
    """Counts of a worker's calls, its memory (PSS), file descriptors and connections of clients.

    Values that take long to measure are 0 before the first measurement.
    """

    calls: int = 0
    refused: int = 0
    in_flight: int = 0
    pss_bytes: int = 0
    open_fds: int = 0
    max_fds: int = 0
    connections: int = 0


class WorkerFacts(msgspec.Struct, frozen=True):
    """The parent's facts about one worker. Times are seconds since the epoch, 0 for none."""

    index: int
    pid: int
    state: str
    version: str
    started_at: float
    serving_since: float
    restarts: int
    load: Load = Load()


class ReloadFacts(msgspec.Struct, frozen=True):
    """The result of the latest attempt to load a version."""

    version: str
    succeeded: bool
    reason: str
    seconds: float
    ended_at: float
    commit_spread_seconds: float = 0.0


class FailedVersion(msgspec.Struct, frozen=True):
    """A version that couldn't be loaded, `failed_at` in seconds since the epoch.

    `passing`: whether the failure isn't the fault of the version, so that the service tries again.
    """

    version: str
    reason: str
    failed_at: float
    passing: bool = False


class Loading(msgspec.Struct, frozen=True):
    """A version that is being loaded: the current step, and the start by time.monotonic()."""

    version: str
    step: str
    since: float


class ServiceState(msgspec.Struct, frozen=True, tag=True):
    """Parent: the state of the whole service, for GetStatus."""

    label: str
    target: str = ""
    version: str = ""
    label_problem: str = ""
    served_problem: str = ""
    last_reload: ReloadFacts | None = None
    workers: list[WorkerFacts] = []
    failed: list[FailedVersion] = []
    loading: Loading | None = None


class Booted(msgspec.Struct, frozen=True, tag=True):
    """Worker: it is ready to prepare a version, or to listen."""


class Listening(msgspec.Struct, frozen=True, tag=True):
    """Worker: the server takes calls."""


class Beat(msgspec.Struct, frozen=True, tag=True):
    """Worker: it is alive, since its threads run."""

    load: Load


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """Worker: this version is open and warmed up."""

    version: str
    order: int


class PrepareFailed(msgspec.Struct, frozen=True, tag=True):
    """Worker: it can't serve this version and continues to serve the previous one.

    `passing`: whether the failure isn't the fault of the version. `changed`: whether the files of the
    version changed after they were verified.
    """

    version: str
    order: int
    reason: str
    passing: bool = False
    changed: bool = False


class Committed(msgspec.Struct, frozen=True, tag=True):
    """Worker: it serves this version since `at` (time.monotonic(), one clock for all processes)."""

    version: str
    at: float


ToWorker = Listen | Prepare | Commit | Abandon | Drain | ServiceState
ToParent = Booted | Listening | Beat | Prepared | PrepareFailed | Committed


class Lines:
    """Split a stream into messages of one type."""

    def __init__(self, of: object) -> None:
        self._decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(of)
        self._rest = b""

    def feed(self, data: bytes) -> list[object]:
        """Return the messages that are complete with this data."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [self._decoder.decode(line) for line in lines]


def encoded(message: ToWorker | ToParent) -> bytes:
    """Encode one message."""
    return msgspec.json.encode(message) + b"\n"
