"""Messages between the parent and a worker: JSON lines over a socket pair.

A worker boots and says Booted. The parent lets it load what the others serve, or nothing while nothing
is served, and then lets it Listen. Once a second it says Beat, from a thread of its own.
"""

from __future__ import annotations

import msgspec

from retriever.version_files import Files


class Listen(msgspec.Struct, frozen=True, tag=True):
    """Parent: take calls from now on."""


class Prepare(msgspec.Struct, frozen=True, tag=True):
    """Parent: open this version, which is verified, and answer queries to warm it up.

    `files` are those that were verified: others aren't to be opened. `order` is another number each
    time, and stands in the answer: one to an order that was taken back meanwhile doesn't count.
    """

    version: str
    order: int = 0
    files: Files = {}


class Commit(msgspec.Struct, frozen=True, tag=True):
    """Parent: serve this version, which is prepared, from now on."""

    version: str


class Abandon(msgspec.Struct, frozen=True, tag=True):
    """Parent: forget what is prepared."""


class Drain(msgspec.Struct, frozen=True, tag=True):
    """Parent: say NOT_SERVING, take calls for a while, finish those in flight, and exit."""

    drain_seconds: float
    grace_seconds: float


class Load(msgspec.Struct, frozen=True):
    """Counts of a worker's calls, its memory (PSS), and its file descriptors.

    Of those: that are open, that may be, that are callers' connections. What takes long to measure is 0
    before it is measured.
    """

    calls: int = 0
    refused: int = 0
    in_flight: int = 0
    pss_bytes: int = 0
    open_fds: int = 0
    max_fds: int = 0
    connections: int = 0


class WorkerFacts(msgspec.Struct, frozen=True):
    """What the parent knows of one worker; times are seconds since the epoch, 0 for none."""

    index: int
    pid: int
    state: str
    version: str
    started_at: float
    serving_since: float
    restarts: int
    load: Load = Load()


class ReloadFacts(msgspec.Struct, frozen=True):
    """What became of the latest attempt to load a version."""

    version: str
    succeeded: bool
    reason: str
    seconds: float
    ended_at: float
    commit_spread_seconds: float = 0.0


class FailedVersion(msgspec.Struct, frozen=True):
    """A version that couldn't be loaded, `failed_at` in seconds since the epoch.

    `passing`: whether the reason says nothing about the version, so that it is tried again.
    """

    version: str
    reason: str
    failed_at: float
    passing: bool = False


class Loading(msgspec.Struct, frozen=True):
    """A version that is being loaded: the name of the step, and since when by time.monotonic()."""

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
    """Worker: ready to prepare a version, or to listen."""


class Listening(msgspec.Struct, frozen=True, tag=True):
    """Worker: the server takes calls."""


class Beat(msgspec.Struct, frozen=True, tag=True):
    """Worker: its threads get to run."""

    load: Load


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """Worker: this version is open and warm."""

    version: str
    order: int


class PrepareFailed(msgspec.Struct, frozen=True, tag=True):
    """Worker: this version can't be served; what served before goes on.

    `passing` says that this says nothing about the version, `changed` that its files aren't those that
    were verified.
    """

    version: str
    order: int
    reason: str
    passing: bool = False
    changed: bool = False


class Committed(msgspec.Struct, frozen=True, tag=True):
    """Worker: this version serves, since `at` (time.monotonic(), one clock for all processes)."""

    version: str
    at: float


ToWorker = Listen | Prepare | Commit | Abandon | Drain | ServiceState
ToParent = Booted | Listening | Beat | Prepared | PrepareFailed | Committed


class Lines:
    """Cuts a stream into messages of one type."""

    def __init__(self, of: object) -> None:
        self._decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(of)
        self._rest = b""

    def feed(self, data: bytes) -> list[object]:
        """The messages that are complete with this data."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [self._decoder.decode(line) for line in lines]


def encoded(message: ToWorker | ToParent) -> bytes:
    """One message as it is sent."""
    return msgspec.json.encode(message) + b"\n"
