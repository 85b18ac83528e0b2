"""The gRPC server of one worker: our service, health, reflection, and how much it takes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from hosting import credentials
from hosting.calls import Calls
from retriever.admission import Admission, Lane, Observe, UnaryLane, ignore
from retriever.config import Config, format_address
from retriever.control import Load
from retriever.memory import pss_bytes
from retriever.service import SERVICE_NAME, RetrieverServicer

_MAX_REQUEST_BYTES = 1 << 20
# Threads for refusals, which are answered also when all calls' threads are taken.
_SPARE_THREADS = 4
# Health checks and calls for the status that have begun and not ended: those that wait for their
# request take no thread, but memory.
_MAX_PROBES = 4096
# A reflection stream keeps a thread for as long as its client likes.
_REFLECTION_STREAMS = 8
# For the last bytes of answers to leave.
_FLUSH_SECONDS = 0.2
# Clients may ping an idle connection this often; those of retriever/client.py do so more rarely.
_MIN_PING_INTERVAL_MS = 5_000


class Server:
    """One server, which doesn't listen until `listen`."""

    def __init__(
        self, config: Config, servicer: RetrieverServicer, *, calls: Calls, observe: Observe
    ) -> None:
        self._config = config
        self._calls = UnaryLane(
            "call",
            limit=config.max_calls,
            threads=config.threads,
            is_quick=servicer.is_quick,
            observe=observe,
        )
        reflections = Lane("reflection", limit=_REFLECTION_STREAMS)
        admission = Admission(
            {
                SERVICE_NAME: self._calls,
                f"/{SERVICE_NAME}/GetStatus": _probes("status", observe),
                health.SERVICE_NAME: _probes("health", ignore),
                # It waits until each response is sent, which gRPC's own thread must not.
                f"/{health.SERVICE_NAME}/Watch": _probes("watch", ignore, quick=False),
                reflection.SERVICE_NAME: reflections,
            },
            calls=calls,
            observe=observe,
        )
        self._health = health.HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(_SPARE_THREADS, thread_name_prefix="spare"),
            interceptors=[admission],
            options=_options(config),
        )
        pb_grpc.add_RetrieverServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        # A health servicer begins by saying SERVING.
        self.say_serving(serving=False)

    def listen(self) -> None:
        """Bind the port and take calls.

        Raises:
            RuntimeError: the port can't be bound.
            HostingError: certificates can't be used.
        """
        address = format_address(self._config.host, self._config.port)
        credentials.add_port(self._server, address, self._config.hosting.security)
        self._server.start()

    def say_serving(self, *, serving: bool) -> None:
        """Set what health checks answer, for the service's name and for ""."""
        states = health_pb2.HealthCheckResponse
        for name in ("", SERVICE_NAME):
            self._health.set(name, states.SERVING if serving else states.NOT_SERVING)

    def load(self, *, measure_memory: bool) -> Load:
        """What the server did and holds."""
        calls = self._calls
        in_flight = calls.in_flight
        return Load(
            calls=calls.accepted - in_flight,
            refused=calls.refused,
            in_flight=in_flight,
            pss_bytes=pss_bytes() if measure_memory else 0,
        )

    def stop(self, grace_seconds: float | None) -> None:
        """Refuse new calls, and wait until those in flight have ended or the time is over."""
        stopped = self._server.stop(grace=grace_seconds)
        # Health watches and reflection streams last as long as the server does: nobody waits for them.
        if grace_seconds and self._calls.wait_until_empty(grace_seconds):
            stopped = self._server.stop(grace=min(grace_seconds, _FLUSH_SECONDS))
        stopped.wait()


def _probes(name: str, observe: Observe, *, quick: bool = True) -> UnaryLane:
    """The lane of what a full worker answers too, in microseconds: mostly on gRPC's own thread."""
    return UnaryLane(name, limit=_MAX_PROBES, threads=1, is_quick=lambda _: quick, observe=observe)


def _options(config: Config) -> list[tuple[str, int]]:
    options = [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    if age := config.max_connection_age_seconds:
        options += [
            ("grpc.max_connection_age_ms", int(age * 1000)),
            ("grpc.max_connection_age_grace_ms", int(config.grace_seconds * 1000)),
        ]
    return options
