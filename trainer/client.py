"""A client of the trainer's service: stubs, deadlines, and errors in words.

with TrainerClient("127.0.0.1:50052") as client:
    run = client.call("Train", pb.TrainRequest(spec=...)).training_run
    for run in client.watch(run.id):
        print(run.stage, run.done, run.total)
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from hosting import credentials, propagation
from hosting.security import PLAIN, ClientSecurity
from trainer.errors import TrainerError

DEFAULT_TIMEOUT_SECONDS = 60.0


class CallError(TrainerError):
    """The service said no, or nothing in time. `code` is gRPC's; the cause is the RpcError."""

    def __init__(self, target: str, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{target}: {code.name}: {details}")
        self.target = target
        self.code = code
        self.details = details


class TrainerClient:
    """Asks one trainer. Threads may share it.

    Args:
        target: "host:port".
        timeout_seconds: of each call.
        security: TLS and what the client shows; HostingError for files that can't be used.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        security: ClientSecurity = PLAIN,
    ) -> None:
        self._target = target
        self._timeout_seconds = timeout_seconds
        self._security = security
        self._channel = credentials.open_channel(
            target,
            security,
            [
                # A watch of hours notices a service that is gone.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
            ],
        )
        self._stub = pb_grpc.TrainerServiceStub(self._channel)

    def call(self, method: str, request: Message | Iterator[Message]) -> Any:
        """Call a method that answers once; raises CallError."""
        try:
            return getattr(self._stub, method)(
                request,
                timeout=self._timeout_seconds,
                wait_for_ready=True,
                metadata=propagation.outgoing(),
            )
        except grpc.RpcError as error:
            raise self._error(error) from error

    def watch(self, run_id: str) -> Iterator[pb.TrainingRun]:
        """A run as it is, and again whenever it changed, to its end. Raises CallError."""
        request = pb.WatchTrainingRunRequest(training_run_id=run_id)
        try:
            responses = self._stub.WatchTrainingRun(
                request, wait_for_ready=True, metadata=propagation.outgoing()
            )
            for response in responses:
                yield response.training_run
        except grpc.RpcError as error:
            raise self._error(error) from error

    def is_serving(self) -> bool:
        """Whether the service says that it takes calls. Raises CallError, at once if nobody listens."""
        check = health_pb2_grpc.HealthStub(self._channel).Check
        try:
            response = check(health_pb2.HealthCheckRequest(), timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            raise self._error(error) from error
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def connection_problem(self, code: grpc.StatusCode) -> str:
        """What of TLS kept a call that ended with this code from a connection; empty for nothing."""
        return credentials.connection_problem(self._channel, self._security, code)

    def close(self) -> None:
        """Close the connection; calls in flight are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _error(self, error: grpc.RpcError) -> CallError:
        details = error.details() or ""
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            details += " (does a trainer run there?)"
        return CallError(self._target, error.code(), details)
