"""A worker process: puts the parts together, and does what the parent says.

Started as `python -m retriever.worker CONFIG INDEX DESCRIPTOR`, by the parent only.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import msgspec
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from publication.errors import PublicationError
from retriever import control, logs
from retriever.config import Config, format_address
from retriever.current import CurrentSnapshot
from retriever.errors import RetrieverError
from retriever.service import SERVICE_NAME, RetrieverServicer
from retriever.snapshot import Snapshot, open_snapshot
from retriever.warm_up import warm_up

_log = logging.getLogger(__name__)

_MAX_REQUEST_BYTES = 1 << 20
_RECEIVE_BYTES = 1 << 16


class Worker:
    """One gRPC server and the connection to the parent."""

    def __init__(self, config: Config, parent: socket.socket) -> None:
        self._config = config
        self._parent = parent
        self._current = CurrentSnapshot()
        self._prepared: Snapshot | None = None
        self._fleet = control.Fleet(label=config.label)
        self._health = health.HealthServicer()
        self._server = self._build_server()

    def run(self) -> None:
        """Serve until the parent says to drain, or is gone."""
        self._server.start()
        control.send(self._parent, control.Booted())
        lines = control.Lines(control.ToWorker)
        while data := self._parent.recv(_RECEIVE_BYTES):
            for message in lines.feed(data):
                if isinstance(message, control.Drain):
                    self._drain(message)
                    return
                self._obey(message)
        _log.error("the parent is gone: stopping")
        self._server.stop(grace=None)

    def _build_server(self) -> grpc.Server:
        server = grpc.server(
            ThreadPoolExecutor(self._config.threads, thread_name_prefix="call"),
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
            ],
        )
        servicer = RetrieverServicer(self._current, lambda: self._fleet)
        pb_grpc.add_RetrieverServiceServicer_to_server(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        # A health servicer begins by saying SERVING.
        self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        server.add_insecure_port(format_address(self._config.host, self._config.port))
        return server

    def _obey(self, message: object) -> None:
        match message:
            case control.Prepare(version=version):
                self._prepare(version)
            case control.Commit(version=version):
                self._commit(version)
            case control.Abandon():
                self._prepared = None
            case control.Fleet() as fleet:
                self._fleet = fleet

    def _prepare(self, version: str) -> None:
        self._prepared = None
        try:
            snapshot = open_snapshot(self._config.volume, version)
            warm_up(snapshot)
        except (PublicationError, RetrieverError) as error:
            control.send(self._parent, control.PrepareFailed(version, str(error)))
            return
        except Exception as error:
            # Whatever it is, all workers would end of it, and with them what they serve.
            _log.exception("version %s can't be prepared", version)
            reason = f"{type(error).__name__}: {error}"
            control.send(self._parent, control.PrepareFailed(version, reason))
            return
        self._prepared = snapshot
        control.send(self._parent, control.Prepared(version))

    def _commit(self, version: str) -> None:
        if self._prepared is None or self._prepared.version != version:
            raise RuntimeError(f"told to commit {version}, which isn't prepared")
        self._current.swap(self._prepared)
        self._prepared = None
        self._say(health_pb2.HealthCheckResponse.SERVING)
        control.send(self._parent, control.Committed(version))

    def _drain(self, message: control.Drain) -> None:
        # Not enter_graceful_shutdown(): a health watcher is to see the change, then the end.
        self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        # The parent closing its end means: no more waiting.
        self._parent.settimeout(message.drain_seconds or 0.001)
        try:
            while self._parent.recv(_RECEIVE_BYTES):
                pass
        except TimeoutError:
            pass
        # stop().wait() can return while a handler still runs; the timer ends the process anyway.
        timer = threading.Timer(message.grace_seconds + 1, os._exit, args=(1,))
        timer.daemon = True
        timer.start()
        self._server.stop(grace=message.grace_seconds).wait()

    def _say(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in ("", SERVICE_NAME):
            self._health.set(name, status)


def main(arguments: list[str]) -> None:
    """Run a worker; the process ends when this returns."""
    config = msgspec.json.decode(arguments[0], type=Config, dec_hook=lambda of, value: of(value))
    logs.configure(f"worker {arguments[1]}")
    for number in control.PARENTS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    parent = socket.socket(fileno=int(arguments[2]))
    status = 1
    try:
        Worker(config, parent).run()
        status = 0
    except ConnectionError:
        _log.error("the parent is gone: stopping")
    except Exception:
        _log.exception("unexpected error: stopping")
    logging.shutdown()
    # Threads of calls that go on must not keep the process alive.
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
