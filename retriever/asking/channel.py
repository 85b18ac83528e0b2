"""The connections of a client: retries, keepalive pings, deadlines and the largest answer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting import given
from lightfm_retriever.hosting.calling.first_contact import FirstContact, too_late
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.security import credentials
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity
from retriever.asking.errors import CallError, UnreachableError, of_call

MAX_RESPONSE_BYTES = 64 << 20
"""The largest answer that the client accepts. Many attributes may exceed gRPC's default."""

_ASK_AGAIN_SECONDS = 0.1
_LEAST_SECONDS = 0.001
_SERVING = health_pb2.HealthCheckResponse.SERVING
_SERVICES = (
    "recsys.retriever.v1.RetrieverService",
    {
        "recsys.trainer.v1.TrainerService": "a trainer answers there, not a retriever: give the "
        "retriever's port, or call the trainer with 'python -m trainer'"
    },
)


def retry_policy() -> str:
    """Return the gRPC service config (JSON): retry calls that a dying or draining worker refused."""
    return resources.files("retriever").joinpath("retry_policy.json").read_text("utf-8")


def open_channel(target: str, security: ClientSecurity = PLAIN) -> grpc.Channel:
    """Open a channel with its own connection, retries, and pings that detect a dead peer.

    Raises HostingError if the certificates can't be used.
    """
    return credentials.open_channel(
        target,
        security,
        [
            ("grpc.service_config", retry_policy()),
            ("grpc.enable_retries", 1),
            ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
            # Otherwise channels with equal arguments share one connection, and so one worker.
            ("grpc.use_local_subchannel_pool", 1),
            # A worker that vanished without closing its connection is detected after 10 + 5 seconds.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            # The first reconnection attempt comes at once, later ones at least every second.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ],
    )


class Connections:
    """Call one retriever over `count` connections in turn. Threads may share this object.

    `seconds` is the deadline of a call that sets none.
    """

    def __init__(self, target: str, count: int, seconds: float, security: ClientSecurity) -> None:
        self.target = target
        self._seconds = seconds
        self._channels = [open_channel(target, security) for _ in range(count)]
        self._closed = False
        self._contact = FirstContact(self._channels[0], target, security, *_SERVICES)
        # next() on a cycle is atomic in CPython: no lock.
        self._stubs = itertools.cycle([pb_grpc.RetrieverServiceStub(own) for own in self._channels])

    def call(self, method: str, request: Message, seconds: float | None) -> Any:
        """Call a method of the service and return its response. Raises CallError and ArgumentError."""
        return self._call(getattr(next(self._stubs), method), request, seconds)

    def is_serving(self, seconds: float | None) -> bool:
        """Return whether the worker that gets this health check serves a version. Raises CallError."""
        check = health_pb2_grpc.HealthStub(self._channels[0]).Check
        response = self._call(check, health_pb2.HealthCheckRequest(), seconds)
        return bool(response.status == _SERVING)

    def wait_until_serving(self, seconds: float) -> None:
        """Wait until a worker serves a version. Raises CallError when none does in time."""
        seconds = given.seconds("timeout_seconds", seconds)
        end = time.monotonic() + seconds
        self._check_open()
        problem = self._contact.problem(seconds)
        if problem is not None and not problem.may_start:
            raise UnreachableError(self.target, problem)
        stub = health_pb2_grpc.HealthStub(self._channels[0])
        while True:
            self._check_open()
            left = max(_LEAST_SECONDS, end - time.monotonic())
            watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=left, wait_for_ready=True)
            try:
                for response in watch:
                    if response.status == _SERVING:
                        watch.cancel()
                        self._contact.reached = True
                        return
            except grpc.RpcError as error:
                # The worker may have ended. Ask again: another one will answer.
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                    if not self._contact.reached:
                        self._contact.doubt = self._contact.doubt or problem
                    raise self._failed(error) from error
            # A proxy without a backend fails at once, each time.
            time.sleep(_ASK_AGAIN_SECONDS)

    def close(self) -> None:
        """Close the connections. Calls in flight are cancelled; later calls raise ArgumentError."""
        self._closed = True
        for channel in self._channels:
            channel.close()

    def _call(self, method: Callable[..., Any], request: Message, seconds: float | None) -> Any:
        self._check_open()
        seconds = self._seconds if seconds is None else given.seconds("timeout_seconds", seconds)
        if not self._contact.reached:
            end = time.monotonic() + seconds
            if problem := self._contact.problem(seconds):
                raise UnreachableError(self.target, problem)
            left = end - time.monotonic()
            if left <= 0:
                # The first contact took all the time.
                code = grpc.StatusCode.DEADLINE_EXCEEDED
                if self._contact.doubt is not None:
                    raise UnreachableError(self.target, self._contact.doubt, code=code)
                raise CallError(self.target, code, too_late(seconds))
            seconds = left
        try:
            response = method(request, timeout=seconds, wait_for_ready=True, metadata=spans.outgoing())
        except grpc.RpcError as error:
            raise self._failed(error) from error
        self._contact.reached = True
        return response

    def _check_open(self) -> None:
        if self._closed:
            raise ArgumentError("client", None, "open", text="the client is closed: make another")

    def _failed(self, error: grpc.RpcError) -> CallError:
        contact = self._contact
        waited = contact.reached and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if waited and (problem := contact.gone()):
            return UnreachableError(self.target, problem, code=error.code())
        return of_call(self.target, error, reached=contact.reached, doubt=contact.doubt)
