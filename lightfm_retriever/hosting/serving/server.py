"""A gRPC server as both services run it: health, reflection, lanes for all calls, and security."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from lightfm_retriever.hosting.calls import UNGUARDED, Calls
from lightfm_retriever.hosting.process import start_all
from lightfm_retriever.hosting.security import access
from lightfm_retriever.hosting.serving.admission import Admission
from lightfm_retriever.hosting.serving.health import Health
from lightfm_retriever.hosting.serving.lanes import Lane, Observe, UnaryLane, ignore
from lightfm_retriever.hosting.serving.observation import Observation
from lightfm_retriever.hosting.settings.flags import Hosting

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
# Refusals are answered also when all calls' threads are taken.
_REFUSING_THREADS = 4
# Health checks and the like that have begun and not ended: those that wait for their request take no
# thread, but memory.
_MAX_PROBES = 4096
# A reflection stream keeps a thread for as long as its client likes.
_REFLECTION_STREAMS = 8
# Without a limit one connection that begins calls and resets them at once fills gRPC's own queue, which
# then cancels the calls of others too.
_STREAMS = 128
# Clients may ping an idle connection this often; our own do so more rarely.
_MIN_PING_INTERVAL_MS = 5_000
# For the last bytes of answers to leave.
_FLUSH_SECONDS = 0.2
# Longer than callers of the same region take from one call to the next.
_QUIET_SECONDS = 0.05
# Callers that don't wait for answers call all the time; deadlines are longer than this.
_LONGEST_HOLD_SECONDS = 0.5

THREAD_ENDED = "a thread that answers calls has ended, for want of memory perhaps: stopping"


def calls_of(settings: Hosting, observation: Observation) -> Calls:
    """Who may call a service, and what is put around each call."""
    return Calls(
        guard=access.guard_of(settings.security),
        arounds=(*observation.arounds, *access.arounds(settings.security)),
        of_refusals=observation.of_refusals,
    )


def probes(name: str, observe: Observe = ignore) -> UnaryLane:
    """The lane of what a full server answers too, in microseconds: on gRPC's own thread."""
    return UnaryLane(name, limit=_MAX_PROBES, threads=1, is_quick=lambda _: True, observe=observe)


class HostedServer:
    """One server, which takes no calls until it is started, and says NOT_SERVING until told otherwise.

    Servicers and a port are added to its `grpc` before it starts; `say_serving` sets what health checks
    answer.

    Args:
        name: of the service that it is for; health answers for it and for "".
        lanes: of its calls, by method ("/package.Service/Method") or by the name of a service.
        calls: who may call, and what is put around calls.
        observe: told of the calls that are refused.
        streams: how many calls one connection may have at once; gRPC refuses more by itself, before
            they cost anything here.
        options: of gRPC, beside those of all our servers.
    """

    def __init__(
        self,
        name: str,
        lanes: Mapping[str, Lane],
        *,
        calls: Calls = UNGUARDED,
        observe: Observe = ignore,
        streams: int = _STREAMS,
        options: Sequence[tuple[str, int]] = (),
    ) -> None:
        self._own_lanes = [*lanes.values()]
        self._lanes = {
            _HEALTH: probes("health"),
            reflection.SERVICE_NAME: Lane("reflection", limit=_REFLECTION_STREAMS),
            **lanes,
        }
        admission = Admission(self._lanes, calls=calls, observe=observe)
        refusing = ThreadPoolExecutor(_REFUSING_THREADS, thread_name_prefix="refuse")
        self._threads = start_all(refusing, _REFUSING_THREADS)
        self._stopping = False
        self._health = Health(name)
        self.say_serving = self._health.say_serving
        self.grpc = grpc.server(
            refusing,
            interceptors=[admission],
            options=[
                ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.max_concurrent_streams", streams),
                *options,
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        names = (name, _HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self.grpc)

    def start(self) -> None:
        """Take calls from now on."""
        before = {*threading.enumerate()}
        self.grpc.start()
        # The one thread that takes all calls, by the name of what it runs.
        self._threads += [one for one in {*threading.enumerate()} - before if "_serve" in one.name]

    @property
    def alive(self) -> bool:
        """Whether every thread is there that calls depend on, or nobody needs them any more.

        One may end for want of memory. Then calls wait for ever, so the process has to be replaced.
        """
        return self._stopping or (
            all(thread.is_alive() for thread in self._threads)
            and all(lane.alive for lane in self._lanes.values())
        )

    def stop(self, grace_seconds: float | None) -> None:
        """Take no more calls, and wait until those that were taken are answered or the time is over.

        gRPC cancels, without a word, what comes between its telling callers to go and their hearing of
        it. Callers that wait for an answer don't call again meanwhile. So what comes now is taken, but
        answered only when they have been told. The time is None for none at all.
        """
        self._stopping = True
        if not grace_seconds:
            self.grpc.stop(grace_seconds).wait()
            return
        end = time.monotonic() + grace_seconds
        lanes = self._lanes.values()
        for lane in lanes:
            lane.hold()
        self._wait_until_quiet(min(_LONGEST_HOLD_SECONDS, grace_seconds))
        stopped = self.grpc.stop(grace_seconds)
        for lane in lanes:
            lane.release()
        # Health watches and reflection streams last as long as the server does: nobody waits for them.
        if all(lane.wait_until_empty(max(0.0, end - time.monotonic())) for lane in self._own_lanes):
            stopped = self.grpc.stop(min(grace_seconds, _FLUSH_SECONDS))
        stopped.wait()

    def _wait_until_quiet(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        accepted = -1
        while time.monotonic() < end:
            before, accepted = accepted, sum(lane.accepted for lane in self._lanes.values())
            if accepted == before:
                return
            time.sleep(_QUIET_SECONDS)
