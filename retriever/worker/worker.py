"""Run a worker process: put its parts together and carry out the parent's orders.

Only the parent starts it, as `python -m retriever.worker.worker CONFIG INDEX DESCRIPTOR PARENT
[COUNTERS]`. COUNTERS is the descriptor of the shared counters, if metrics are on. The main thread
listens to the parent and never blocks for long, so that the worker can stop at any moment. Other
threads prepare versions, send heartbeats, and compare answers with exact search.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from queue import SimpleQueue

import grpc
import msgspec

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.observing.spans import span
from lightfm_retriever.hosting.process import STOPPING, die_with
from lightfm_retriever.hosting.serving.lanes import Observe, ignore
from lightfm_retriever.hosting.serving.observation import CLOSE_SECONDS, Observation
from lightfm_retriever.hosting.serving.server import THREAD_ENDED, calls_of
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import PublicationError
from retriever import control, failures, version_files
from retriever.answering.snapshot import Snapshot, open_snapshot
from retriever.config import Config
from retriever.counters import Counters
from retriever.errors import RetrieverError
from retriever.failures import Failure
from retriever.version_files import FilesChangedError
from retriever.worker.answer_messages import call_facts
from retriever.worker.online_recall import Sampler
from retriever.worker.server import Server
from retriever.worker.service import RetrieverServicer, look_away
from retriever.worker.warm_up import warm_up

_log = logging.getLogger(__name__)

_RECEIVE_BYTES = 1 << 16
_BEAT_SECONDS = 1.0
# Measuring memory walks the page tables, counting connections walks all descriptors: not at every beat.
_BEATS_BETWEEN_MEASUREMENTS = 5
# How long a call may wait for the GIL while a version is prepared. A call needs the GIL several times.
# Python's default is ten times as long.
_SWITCH_SECONDS = 0.0005
_MAKE_WAY_SECONDS = 0.001
# Threads that open versions. Only the latest order counts; earlier ones may hang.
_MAX_PREPARING = 4


class Worker:
    """One gRPC server and the connection to the parent."""

    def __init__(self, config: Config, parent: socket.socket, counters: Counters | None = None) -> None:
        self._config = config
        self._parent = parent
        self._sending = threading.Lock()
        # The prepare order that counts, 0 for none, and its result. One lock protects both.
        self._order = 0
        self._prepared: Snapshot | None = None
        self._ordering = threading.Lock()
        self._may_prepare = threading.BoundedSemaphore(_MAX_PREPARING)
        self._orders: SimpleQueue[control.Prepare] = SimpleQueue()
        self._fleet = control.ServiceState(label=config.label)
        self._counters = counters
        self._sampler: Sampler | None = None
        if counters is not None and config.online_recall_share:
            self._sampler = Sampler(config.online_recall_share, counters)
        self._servicer = RetrieverServicer(
            lambda: self._fleet,
            answered=look_away if counters is None else counters.answered,
            recommended=look_away if self._sampler is None else self._sampler.offer,
            span=None if config.hosting.traces.endpoint is None else span,
        )
        observe = ignore if counters is None else _counting(counters)
        self._observation = Observation(config.hosting, service="lightfm-retriever", facts=call_facts)
        calls = calls_of(config.hosting, self._observation)
        self._server = Server(config, self._servicer, calls=calls, observe=observe)
        self._listening = False
        for _ in range(_MAX_PREPARING):
            # Start them now: starting a thread without enough memory never returns.
            threading.Thread(target=self._prepare_what_is_ordered, name="prepare", daemon=True).start()

    def run(self) -> None:
        """Serve until the parent sends Drain or has ended."""
        logs.say_version(lambda: self._servicer.version)
        with contextlib.closing(self._observation):
            threading.Thread(target=self._beat, name="beat", daemon=True).start()
            if self._sampler is not None:
                self._sampler.start()
            self._send(control.Booted())
            lines = control.Lines(control.ToWorker)
            while data := self._parent.recv(_RECEIVE_BYTES):
                for message in lines.feed(data):
                    if isinstance(message, control.Drain):
                        self._drain(message)
                        return
                    self._obey(message)
            _log.error("the parent process has ended: stopping")
            self._server.stop(None)

    def _obey(self, message: object) -> None:
        match message:
            case control.Listen():
                self._server.listen()
                self._listening = True
                self._send(control.Listening())
            case control.Prepare() as prepare:
                self._take(prepare.order)
                # A prepare that hangs on a volume must not block the next one. But too many of them
                # would fill the process.
                if self._may_prepare.acquire(blocking=False):
                    self._orders.put(prepare)
                else:
                    reason = f"the worker is still opening {_MAX_PREPARING} earlier versions"
                    self._cannot_prepare(prepare, Failure(reason, passing=True))
            case control.Commit(version=version):
                self._commit(version)
            case control.Abandon():
                self._take(0)
            case control.ServiceState() as fleet:
                self._fleet = fleet

    def _take(self, order: int) -> Snapshot | None:
        """Make this the only order that counts, and return the result of the one before."""
        with self._ordering:
            prepared, self._order, self._prepared = self._prepared, order, None
        return prepared

    def _prepare_what_is_ordered(self) -> None:
        while True:
            prepare = self._orders.get()
            try:
                self._prepare(prepare)
            except Exception:
                # For instance, not enough memory to report the error. The parent gives up after a time.
                _log.exception("couldn't prepare version %s", prepare.version)
            finally:
                self._may_prepare.release()

    def _cannot_prepare(
        self, prepare: control.Prepare, failure: Failure, *, changed: bool = False
    ) -> None:
        reason, passing = failure.reason, failure.passing
        self._send(control.PrepareFailed(prepare.version, prepare.order, reason, passing, changed))

    def _prepare(self, prepare: control.Prepare) -> None:
        version, order = prepare.version, prepare.order
        directory = layout.version_dir(self._config.volume, version)
        try:
            # Files that are the same before and after the opening are the files that were opened.
            version_files.check(directory, prepare.files)
            snapshot = open_snapshot(self._config.volume, version)
            version_files.check(directory, prepare.files)
            warm_up(snapshot, make_way=lambda: time.sleep(_MAKE_WAY_SECONDS))
        except Exception as error:
            expected = (PublicationError, RetrieverError, OSError, MemoryError)
            if not isinstance(error, expected):
                _log.exception("couldn't prepare version %s", version)
            # To refuse one version is better than a worker that never answers.
            changed = isinstance(error, FilesChangedError)
            self._cannot_prepare(prepare, failures.of_error(error), changed=changed)
            return
        with self._ordering:
            if self._order != order:
                return  # the parent has withdrawn the order
            self._prepared = snapshot
        self._send(control.Prepared(version, order))

    def _commit(self, version: str) -> None:
        prepared = self._take(0)
        if prepared is None or prepared.version != version:
            raise RuntimeError(f"told to commit {version}, which isn't prepared")
        if self._counters is not None:
            self._counters.serve(version)
        self._servicer.snapshot = prepared
        swapped_at = time.monotonic()
        self._server.say_serving(serving=True)
        self._send(control.Committed(version, swapped_at))

    def _beat(self) -> None:
        beats = 0
        # When the beats stop, the parent replaces this process: nothing else can repair it.
        while self._server.alive:
            if beats % _BEATS_BETWEEN_MEASUREMENTS == 0:
                measured = self._server.measure()
            self._send(control.Beat(self._server.load(measured)))
            beats += 1
            time.sleep(_BEAT_SECONDS)
        _log.error(THREAD_ENDED)
        os._exit(1)

    def _send(self, message: control.ToParent) -> None:
        # Three threads send messages.
        try:
            with self._sending:
                self._parent.sendall(control.encoded(message))
        except OSError:
            # The parent has ended or drains; the main thread notices that by itself.
            _log.debug("couldn't send %s to the parent", message)

    def _drain(self, message: control.Drain) -> None:
        # Not enter_graceful_shutdown(): a health watcher should see the change before the stream ends.
        self._server.say_serving(serving=False)
        # When the parent closes its end, the worker stops waiting.
        end = time.monotonic() + message.drain_seconds * self._listening
        with contextlib.suppress(TimeoutError):
            while (seconds := end - time.monotonic()) > 0:
                self._parent.settimeout(seconds)
                if not self._parent.recv(_RECEIVE_BYTES):
                    break
        # stop().wait() can return while a handler still runs; the timer ends the process anyway.
        timer = threading.Timer(message.grace_seconds + 1 + CLOSE_SECONDS, os._exit, args=(1,))
        timer.daemon = True
        timer.start()
        self._server.stop(message.grace_seconds)


def _counting(counters: Counters) -> Observe:
    def observe(method: str, code: grpc.StatusCode, seconds: float | None) -> None:
        counters.ended(method.rpartition("/")[2], code.name, seconds)

    return observe


def main(arguments: list[str]) -> None:
    """Run a worker and end the process."""
    die_with(int(arguments[3]))
    config = msgspec.json.decode(arguments[0], type=Config, dec_hook=lambda of, value: of(value))
    logs.configure(f"worker {arguments[1]}", config.hosting.logs)
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH_SECONDS)
    parent = socket.socket(fileno=int(arguments[2]))
    status = 1
    try:
        Worker(config, parent, *(Counters(int(number)) for number in arguments[4:])).run()
        status = 0
    except ConnectionError:
        _log.error("the parent is gone: stopping")
    except HostingError as error:
        # The parent has checked the same certificate files, so they have changed since.
        _log.error("%s: stopping", error)
    except Exception:
        _log.exception("unexpected error: stopping")
    logging.shutdown()
    # Threads of unfinished calls must not keep the process alive.
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
