"""How a call, or one entry of a batch, failed."""

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
    """The service said no, or nothing in time; as one result of a batch: it said no to that entry.

    Attributes:
        target: the service that was asked.
        code: gRPC's.
        details: what the service says about it, for people.
        reason: what it says for programs, such as "USER_NOT_FOUND" or "PAGE_EXPIRED"; often empty.
        field: the field of the request that is wrong; empty when none is.
        retry_seconds: when to ask again, after RESOURCE_EXHAUSTED or UNAVAILABLE; None when the service
            didn't say.

    The cause is the grpc.RpcError, if a whole call failed.
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
    """No retriever is at the address: none was found, or the one that answered before is gone.

    Attributes:
        cause: for programs, such as "refused", "name_not_found", "tls_wanted" or "other_service";
            `lightfm_retriever.hosting.calling.diagnosis.Cause` has them all.
    """

    def __init__(self, target: str, problem: Problem, *, code: grpc.StatusCode | None = None) -> None:
        super().__init__(target, code or code_of(problem), problem.text)
        self.cause: Cause = problem.cause


def of_call(
    target: str, error: grpc.RpcError, *, reached: bool = True, doubt: Problem | None = None
) -> CallError:
    """What a call failed with by gRPC's error.

    `reached` says whether a retriever has ever answered there, `doubt` what may keep it from that.
    """
    if error.code() in NO_ANSWER and doubt is not None and not reached:
        return UnreachableError(target, doubt, code=error.code())
    details = explained(error, reached=reached, service="retriever")
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        # Something on the way, such as a proxy, changed one of the two or garbled the details.
        status = None
    return _error(target, error.code(), details, status)


def of_entry(target: str, status: status_pb2.Status) -> CallError:
    """What an entry of a batch failed with."""
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
                    # The code and the text still say what failed.
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
