"""Errors of calls and of single requests of a batch."""

from __future__ import annotations

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from lightfm_retriever.hosting.calling.diagnosis import Cause, Problem
from lightfm_retriever.hosting.calling.first_contact import NO_ANSWER, code_of, explained
from retriever.errors import RetrieverError

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallError(RetrieverError):
    """A call failed: the service returned an error or didn't answer in time.

    As a result of a batch, it is the error of one request.

    Attributes:
        target: address of the service.
        code: gRPC status code.
        details: message of the service, for people.
        reason: reason for programs, such as "USER_NOT_FOUND" or "PAGE_EXPIRED"; often empty.
        field: the invalid field of the request; empty when no field is.
        retry_seconds: when to try again, after RESOURCE_EXHAUSTED or UNAVAILABLE; None when the service
            didn't say.

    If a whole call failed, `__cause__` is the grpc.RpcError.
    """

    def __init__(
        self,
        target: str,
        code: grpc.StatusCode,
        details: str,
        *,
        reason: str = "",
        field: str = "",
        retry_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{target}: {code.name}: {details}")
        self.target = target
        self.code = code
        self.details = details
        self.reason = reason
        self.field = field
        self.retry_seconds = retry_seconds


class UnreachableError(CallError):
    """No retriever answers at the address. It was never reached, or it has gone.

    Attributes:
        cause: the cause for programs, such as "refused", "name_not_found", "tls_wanted" or
            "other_service". `lightfm_retriever.hosting.calling.diagnosis.Cause` lists them all.
    """

    def __init__(self, target: str, problem: Problem, *, code: grpc.StatusCode | None = None) -> None:
        super().__init__(target, code or code_of(problem), problem.text)
        self.cause: Cause = problem.cause


def of_call(
    target: str, error: grpc.RpcError, *, reached: bool = True, doubt: Problem | None = None
) -> CallError:
    """Convert an error of gRPC to a CallError.

    `reached` says whether a retriever has ever answered there. `doubt` is the suspected reason if not.
    """
    if error.code() in NO_ANSWER and doubt is not None and not reached:
        return UnreachableError(target, doubt, code=error.code())
    details = explained(error, reached=reached, service="retriever")
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        # Something in between, such as a proxy, changed the status or garbled the details.
        status = None
    return _error(target, error.code(), details, status)


def of_entry(target: str, status: status_pb2.Status) -> CallError:
    """Convert the status of one request of a batch to a CallError."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return _error(target, code, status.message, status)


def _error(
    target: str, code: grpc.StatusCode, details: str, status: status_pb2.Status | None
) -> CallError:
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for packed in () if status is None else status.details:
        for message in (info, request, retry):
            if packed.Is(message.DESCRIPTOR):
                try:
                    packed.Unpack(message)
                except DecodeError:
                    # The status code and message still describe the error.
                    message.Clear()
    violations = request.field_violations
    return CallError(
        target,
        code,
        details,
        reason=info.reason,
        field=violations[0].field if violations else "",
        retry_seconds=retry.retry_delay.ToNanoseconds() / 1e9
        if retry.HasField("retry_delay")
        else None,
    )
