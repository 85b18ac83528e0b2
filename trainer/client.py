"""A client of the trainer's service: stubs, deadlines, and errors in words.

with TrainerClient("127.0.0.1:50052") as client:
    run = client.call("Train", pb.TrainRequest(spec=...)).training_run
    for run in client.watch(run.id):
        print(run.stage, run.done, run.total)
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
        "recsys.retriever.v1.RetrieverService": "a retriever answers there, which trains nothing: give "
        "the trainer's own port, or ask the retriever by 'lightfm-retriever'"
    },
)


class TrainerCallError(TrainerError):
    """The service said no, or nothing in time. `code` is gRPC's; the cause is the RpcError."""

    def __init__(self, target: str, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{target}: {code.name}: {details}")
        self.target = target
        self.code = code
        self.details = details


class TrainerUnreachableError(TrainerCallError):
    """No trainer is at the address: none was found, or the one that answered before is gone.

    Attributes:
        cause: for programs, such as "refused", "name_not_found", "tls_wanted" or "other_service";
            `lightfm_retriever.hosting.calling.diagnosis.Cause` has them all.
    """

    def __init__(self, target: str, problem: Problem, *, code: grpc.StatusCode | None = None) -> None:
        super().__init__(target, code or code_of(problem), problem.text)
        self.cause: Cause = problem.cause


class TrainerClient:
    """Asks one trainer. Threads may share it.

    Until a trainer has answered once, a call fails within a second where none can be reached, by an
    TrainerUnreachableError that says why. Afterwards calls wait for one that is being replaced.

    Args:
        target: "host:port"; AddressError for what is none.
        timeout_seconds: of each call.
        security: TLS and what the client shows; HostingError for files that can't be used.
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
                # A watch of hours notices a service that is gone.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
            ],
        )
        self._closed = False
        self._contact = FirstContact(self._channel, target, security, *_SERVICES)
        self._stub = pb_grpc.TrainerServiceStub(self._channel)

    @given.named()
    def call(self, method: str, request: Message | Iterator[Message]) -> Any:
        """Call a method that answers once, such as "Train"; AppendInteractions takes an iterator.

        Raises:
            TrainerCallError: the service said no, or nothing in time.
            ArgumentError: there is no such method, or its request is another.
        """
        _check(method, request)
        return self._answer(
            getattr(self._stub, method), request, wait_for_ready=True, metadata=spans.outgoing()
        )

    @given.named()
    def watch(self, run_id: str) -> Iterator[pb.TrainingRun]:
        """A run as it is, and again whenever it changed, to its end.

        The first is waited for as long as a call may take, the others as long as the service is there.
        Raises TrainerCallError, and ArgumentError for what is no id.
        """
        given.text("run_id", run_id, "the id of a training run, as Train answers it")
        seconds = self._seconds_after_contact()
        request = pb.WatchTrainingRunRequest(training_run_id=run_id)
        responses = self._stub.WatchTrainingRun(request, wait_for_ready=True, metadata=spans.outgoing())
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            responses.cancel()

        # Not the call's own timeout, which would end a watch of hours.
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
                raise self._late(f"nobody answered within {seconds:.3g} s") from error
            raise self._error(error) from error
        finally:
            patience.cancel()
            responses.cancel()

    @given.named()
    def is_serving(self) -> bool:
        """Whether the service says that it takes calls; TrainerCallError, at once if nobody listens."""
        check = health_pb2_grpc.HealthStub(self._channel).Check
        response = self._answer(check, health_pb2.HealthCheckRequest())
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def close(self) -> None:
        """Close the connection; calls in flight are cancelled, and later ones are ArgumentErrors."""
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
        """What a call may take once the service was looked for; raises TrainerUnreachableError."""
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
    """Raise ArgumentError unless there is such a method and it takes such a request."""
    if not (isinstance(method, str) and method in _METHODS):
        raise ArgumentError("method", method, f"one of {', '.join(sorted(_METHODS))}")
    found = _METHODS[method]
    wanted = found.input_type
    if found.client_streaming:
        given.one_of("request", request, Iterator, f"an iterator of {wanted.name}")
    elif not (isinstance(request, Message) and request.DESCRIPTOR is wanted):
        raise ArgumentError("request", request, f"a {wanted.name}")
