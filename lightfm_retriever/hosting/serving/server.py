"""The gRPC server of both services: health, reflection, lanes for all calls, and security."""

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
# Threads that refuse calls while all threads for calls are busy.
_REFUSING_THREADS = 4
# The largest number of health checks and similar calls at once. While they wait for their request, they
# take no thread, but memory.
_MAX_PROBES = 4096
# A reflection stream occupies a thread for as long as its client wants.
_REFLECTION_STREAMS = 8
# Without a limit, a connection that starts calls and resets them at once fills gRPC's queue. gRPC then
# cancels calls of other connections too.
_STREAMS = 128
# Clients may ping an idle connection this often; our own clients ping less often.
_MIN_PING_INTERVAL_MS = 5_000
# Time to send the last bytes of answers.
_FLUSH_SECONDS = 0.2
# Longer than callers in the same region take from one call to the next.
_QUIET_SECONDS = 0.05
# Callers that don't wait for answers never pause. Deadlines of calls are longer than this.
_LONGEST_HOLD_SECONDS = 0.5

THREAD_ENDED = "a thread that answers calls has ended, perhaps without enough memory: stopping"


def calls_of(settings: Hosting, observation: Observation) -> Calls:
    """Return the guard and the wrappers of a service's calls."""
    return Calls(
        guard=access.guard_of(settings.security),
        arounds=(*observation.arounds, *access.arounds(settings.security)),
        of_refusals=observation.of_refusals,
    )


def probes(name: str, observe: Observe = ignore) -> UnaryLane:
    """Make a lane for calls that take microseconds: a full server answers them on gRPC's thread."""
    return UnaryLane(name, limit=_MAX_PROBES, threads=1, is_quick=lambda _: True, observe=observe)


class HostedServer:
    """A server that takes no calls until it is started. Its health is NOT_SERVING at first.

    Add servicers and a port to `grpc` before `start`. `say_serving` sets the status of health checks.

    Args:
        name: name of the service; health checks answer for it and for "".
        lanes: lanes by method ("/package.Service/Method") or by service name.
        calls: the guard and the wrappers of calls.
        observe: called for each refused call.
        streams: the largest number of calls at once on one connection. gRPC itself refuses more.
        options: options of gRPC, in addition to those of all our servers.
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
        """Start to take calls."""
        before = {*threading.enumerate()}
        self.grpc.start()
        # Find the single thread that receives all calls, by the name of its function.
        self._threads += [one for one in {*threading.enumerate()} - before if "_serve" in one.name]

    @property
    def alive(self) -> bool:
        """Whether all threads that calls depend on are alive, or the server is stopping.

        A thread may end without enough memory. Calls then wait forever, so the process must be
        replaced.
        """
        return self._stopping or (
            all(thread.is_alive() for thread in self._threads)
            and all(lane.alive for lane in self._lanes.values())
        )

    def stop(self, grace_seconds: float | None) -> None:
        """Stop taking calls, and wait until the accepted calls are answered or the time is over.

        gRPC tells clients to leave, and silently cancels calls that arrive before they have read that.
        A client that waits for an answer doesn't call again. So calls that arrive now are accepted but
        held, and answered only after clients know. None means no time at all.
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
        # Health watches and reflection streams last as long as the server, so don't wait for them.
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
