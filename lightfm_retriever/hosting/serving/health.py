"""The health service of both services: grpc.health.v1, in which no caller can block another.

gRPC's own servicer waits for a watcher to receive its messages, and holds the lock of all checks
meanwhile. A watcher that never receives would block every check, and with it the thread that receives
all calls. It also keeps each name that was ever watched, and doesn't support List. This module uses
parts of grpcio that aren't public, as lightfm_retriever/hosting/serving/admission.py does.
"""

from __future__ import annotations

import threading
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc._server import _get_initial_metadata_operation, _is_rpc_state_active, _possibly_finish_call
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.serving.admission import refuse_call

# Each watch takes memory for as long as its caller wants.
MAX_WATCHES = 4096
_LONGEST_NAME = 100
_SENDING = "send_health"
_NO_FLAGS = 0
_STATES = pb.HealthCheckResponse


class Health(pb_grpc.HealthServicer):  # type: ignore[misc]
    """Answer health checks with one status, for the whole server, "", and for its service by name."""

    def __init__(self, name: str) -> None:
        self._lock = threading.Lock()
        self._status = _STATES.NOT_SERVING
        self._names = frozenset(("", name))
        self._watches: set[_Watch] = set()

    def say_serving(self, *, serving: bool) -> None:
        """Set the status and send it to all watchers, without waiting for them."""
        with self._lock:
            self._status = _STATES.SERVING if serving else _STATES.NOT_SERVING
            for watch in self._watches:
                if watch.of_ours:
                    watch.tell(self._status)

    def Check(  # noqa: N802
        self, request: pb.HealthCheckRequest, context: grpc.ServicerContext
    ) -> pb.HealthCheckResponse:
        """Return the status of a service; NOT_FOUND for an unknown one."""
        if request.service not in self._names:
            name = request.service
            shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
            text = f"this server has no service {shown!r}: List returns the services that it has"
            context.abort(grpc.StatusCode.NOT_FOUND, text)
        return pb.HealthCheckResponse(status=self._status)

    def List(  # noqa: N802
        self,
        request: pb.HealthListRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.HealthListResponse:
        """Return the status of each service."""
        state = pb.HealthCheckResponse(status=self._status)
        return pb.HealthListResponse(statuses=dict.fromkeys(self._names, state))

    def Watch(  # noqa: N802
        self, request: pb.HealthCheckRequest, context: grpc.ServicerContext, _respond: object = None
    ) -> None:
        """Send the status of a service now and after each change; SERVICE_UNKNOWN for an unknown one.

        With `experimental_non_blocking` the call continues after this method returns.
        """
        # No service is added later, so the status of an unknown one never changes.
        watch = _Watch(context, of_ours=request.service in self._names)
        with self._lock:
            full = len(self._watches) >= MAX_WATCHES
            if not full:
                self._watches.add(watch)
                watch.tell(self._status if watch.of_ours else _STATES.SERVICE_UNKNOWN)
        if full:
            refuse_call(context)
        if not context.add_callback(lambda: self._forget(watch)):
            self._forget(watch)

    Watch.experimental_non_blocking = True  # type: ignore[attr-defined]

    def _forget(self, watch: _Watch) -> None:
        with self._lock:
            self._watches.discard(watch)


class _Watch:
    """One watching call. It sends one status at a time. Of waiting ones it sends the latest only."""

    def __init__(self, context: Any, *, of_ours: bool) -> None:
        self.of_ours = of_ours
        # gRPC's context has no public way to send without waiting.
        self._call = context._rpc_event.call  # noqa: SLF001
        self._state = context._state  # noqa: SLF001
        self._waiting: int | None = None

    def tell(self, status: int) -> None:
        """Send a status, after the one that is being sent."""
        with self._state.condition:
            if _SENDING in self._state.due:
                self._waiting = status
            elif _is_rpc_state_active(self._state):
                self._send(status)

    def _send(self, status: int) -> None:
        response = pb.HealthCheckResponse(status=status)
        operations = [cygrpc.SendMessageOperation(response.SerializeToString(), _NO_FLAGS)]
        if self._state.initial_metadata_allowed:
            operations.insert(0, _get_initial_metadata_operation(self._state, None))
            self._state.initial_metadata_allowed = False
        self._call.start_server_batch(operations, self._sent)
        self._state.due.add(_SENDING)

    def _sent(self, _event: object) -> Any:
        with self._state.condition:
            ended = _possibly_finish_call(self._state, _SENDING)
            status, self._waiting = self._waiting, None
            if status is not None and _is_rpc_state_active(self._state):
                self._send(status)
            return ended
