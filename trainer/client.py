"""Call the trainer's service from Python, with deadlines and with errors that say what to do.

    from recsys.trainer.v1 import trainer_service_pb2 as pb
    from trainer.client import TrainerClient

    request = pb.TrainRequest(spec={"data": {"dataset": "movielens-100k"}})
    with TrainerClient("127.0.0.1:50052") as client:
        run = client.call("Train", request).training_run
        for run in client.watch(run.id):
            print(run.stage, run.done, run.total)

Requests and responses are the messages of `protos/recsys/trainer/v1/trainer_service.proto`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import lightfm_retriever.hosting.calling.needed  # noqa: F401 - else gRPC is missing without a hint

# isort: split
import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting import addresses, given
from lightfm_retriever.hosting.calling.diagnosis import Cause, Problem
from lightfm_retriever.hosting.calling.first_contact import (
    NO_ANSWER,
    FirstContact,
    code_of,
    explained,
    too_late,
)
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.security import credentials
from lightfm_retriever.hosting.security.settings import PLAIN, ClientSecurity
from trainer.errors import TrainerError

DEFAULT_TIMEOUT_SECONDS = 60.0
_SERVICES = (
    "recsys.trainer.v1.TrainerService",
    {
        "recsys.retriever.v1.RetrieverService": "a retriever answers there, not a trainer: "
        "give the trainer's port, or ask the retriever by 'lightfm-retriever'"
    },
)


class TrainerCallError(TrainerError):
    """The service refused a call, or didn't answer in time. Its `__cause__` is gRPC's RpcError, if any.

    Attributes:
        target: address of the service, "host:port".
        code: gRPC status code.
        details: the problem in words.
    """

    def __init__(self, target: str, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{target}: {code.name}: {details}")
        self.target = target
        self.code = code
        self.details = details


class TrainerUnreachableError(TrainerCallError):
    """No trainer answers at the address: the client found none, or an earlier one is gone.

    Attributes:
        cause: reason for programs, such as "refused", "name_not_found", "tls_wanted" or
            "other_service". `lightfm_retriever.hosting.calling.diagnosis.Cause` lists all values.
    """

    def __init__(self, target: str, problem: Problem, *, code: grpc.StatusCode | None = None) -> None:
        super().__init__(target, code or code_of(problem), problem.text)
        self.cause: Cause = problem.cause


class TrainerClient:
    """Call one trainer. Threads may share a client.

    Until a trainer has answered once, a call to an unreachable address fails within a second, with a
    TrainerUnreachableError that names the cause. Afterwards, calls wait for a service that is being
    replaced.

    Args:
        target: address of the trainer, "host:port".
        timeout_seconds: deadline of each call.
        security: TLS and the credentials of the client.

    Raises:
        AddressError: `target` isn't "host:port".
        ArgumentError: another argument can't be used.
        HostingError: a certificate or token file can't be used.
    """

    @given.named()
    def __init__(
        self,
        target: str,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        security: ClientSecurity = PLAIN,
    ) -> None:
        addresses.parse(target)
        self._target = target
        self._timeout_seconds = given.seconds("timeout_seconds", timeout_seconds)
        given.one_of("security", security, ClientSecurity, "ClientSecurity(ca=..., token=...)")
        self._channel = credentials.open_channel(
            target,
            security,
            [
                # A watch can take hours. With keepalive, it notices that the service is gone.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
            ],
        )
        self._closed = False
        self._contact = FirstContact(self._channel, target, security, *_SERVICES)
        self._stub = pb_grpc.TrainerServiceStub(self._channel)

    @given.named()
    def call(self, method: str, request: Message | Iterator[Message]) -> Any:
        """Call a method that answers once: any method but WatchTrainingRun.

        Example:
            client.call("ListVersions", pb.ListVersionsRequest(page_size=10)).versions

        Args:
            method: name of the method, such as "Train".
            request: request message of that method. AppendInteractions takes an iterator of messages.

        Returns:
            The response message of that method.

        Raises:
            TrainerCallError: the service refused the call, or didn't answer in time.
            ArgumentError: no such method exists, the request has another type, or the client is closed.
        """
        _check(method, request)
        return self._answer(
            getattr(self._stub, method), request, wait_for_ready=True, metadata=spans.outgoing()
        )

    @given.named()
    def watch(self, run_id: str) -> Iterator[pb.TrainingRun]:
        """Yield a training run as it is now, and again after each change, until it ends.

        The first message has the deadline of a call. The later ones have none: the watch lasts until
        the run ends, or until the service is gone.

        Args:
            run_id: `id` of a training run, as Train answers it.

        Yields:
            The training run. The last one has a final state.

        Raises:
            TrainerCallError: the service refused the call, didn't answer in time, or is gone.
            ArgumentError: `run_id` isn't a text, or the client is closed.
        """
        given.text("run_id", run_id, "the id of a training run, as Train answers it")
        seconds = self._seconds_after_contact()
        request = pb.WatchTrainingRunRequest(training_run_id=run_id)
        responses = self._stub.WatchTrainingRun(request, wait_for_ready=True, metadata=spans.outgoing())
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            responses.cancel()

        # gRPC's timeout would end a watch that takes hours. This timer only limits the first message.
        patience = threading.Timer(seconds, give_up)
        patience.daemon = True
        patience.start()
        try:
            for response in responses:
                patience.cancel()
                self._contact.reached = True
                yield response.training_run
        except grpc.RpcError as error:
            if is_late.is_set():
                raise self._late(f"no answer within {seconds:.3g} s") from error
            raise self._error(error) from error
        finally:
            patience.cancel()
            responses.cancel()

    @given.named()
    def is_serving(self) -> bool:
        """Return whether the service reports, as its health, that it takes calls.

        Raises:
            TrainerCallError: the service didn't answer. The call fails at once when no program listens
                at the address.
            ArgumentError: the client is closed.
        """
        check = health_pb2_grpc.HealthStub(self._channel).Check
        response = self._answer(check, health_pb2.HealthCheckRequest())
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def close(self) -> None:
        """Close the connection and cancel the calls in flight. Later calls raise ArgumentError."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, method: Callable[..., Any], request: Any, **options: Any) -> Any:
        seconds = self._seconds_after_contact()
        try:
            response = method(request, timeout=seconds, **options)
        except grpc.RpcError as error:
            raise self._error(error) from error
        self._contact.reached = True
        return response

    def _seconds_after_contact(self) -> float:
        """Return the seconds left after the first contact. Raises TrainerUnreachableError."""
        if self._closed:
            raise ArgumentError("client", None, "open", text="the client is closed: make another")
        if self._contact.reached:
            return self._timeout_seconds
        end = time.monotonic() + self._timeout_seconds
        if problem := self._contact.problem(self._timeout_seconds):
            raise TrainerUnreachableError(self._target, problem)
        if (left := end - time.monotonic()) <= 0:
            raise self._late(too_late(self._timeout_seconds))
        return left

    def _late(self, details: str) -> TrainerCallError:
        code, contact = grpc.StatusCode.DEADLINE_EXCEEDED, self._contact
        if contact.doubt is not None and not contact.reached:
            return TrainerUnreachableError(self._target, contact.doubt, code=code)
        return TrainerCallError(self._target, code, details)

    def _error(self, error: grpc.RpcError) -> TrainerCallError:
        contact = self._contact
        waited = contact.reached and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if waited and (problem := contact.gone()):
            return TrainerUnreachableError(self._target, problem, code=error.code())
        if error.code() in NO_ANSWER and contact.doubt is not None and not contact.reached:
            return TrainerUnreachableError(self._target, contact.doubt, code=error.code())
        details = explained(error, reached=contact.reached, service="trainer")
        return TrainerCallError(self._target, error.code(), details)


_METHODS = {
    method.name: method
    for method in pb.DESCRIPTOR.services_by_name["TrainerService"].methods
    if not method.server_streaming
}


def _check(method: Any, request: Any) -> None:
    """Raise ArgumentError unless the method exists and takes requests of this type."""
    if not (isinstance(method, str) and method in _METHODS):
        raise ArgumentError("method", method, f"one of {', '.join(sorted(_METHODS))}")
    found = _METHODS[method]
    wanted = found.input_type
    if found.client_streaming:
        given.one_of("request", request, Iterator, f"an iterator of {wanted.name}")
    elif not (isinstance(request, Message) and request.DESCRIPTOR is wanted):
        raise ArgumentError("request", request, f"a {wanted.name}")
