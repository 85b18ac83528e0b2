"""The only place that turns exceptions into gRPC statuses."""

from __future__ import annotations

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from lightfm_retriever.hosting.message_sizes import cut
from lightfm_retriever.hosting.observing.repeats import logger_of_calls
from lightfm_retriever.hosting.serving.pushback import with_pushback
from lightfm_retriever.hosting.serving.retry_info import retry_info
from retriever.errors import (
    AbandonedError,
    InvalidArgumentError,
    NothingLoadedError,
    NotPublishedError,
    PageExpiredError,
    UnknownIdError,
)

DOMAIN = "lightfm-retriever"
# A retry that comes later than this may come after the caller's deadline, which would hide the reason.
_SOON = 2.0
# When to ask again: while a version is being loaded, and while there is none that could be.
_LOADING_SECONDS = 1.0
_NOTHING_SECONDS = 5.0

_log = logger_of_calls(__name__)


def to_status(error: Exception) -> grpc.Status:
    """A gRPC status with google.rpc details; an unexpected error is logged and tells nothing."""
    message = to_message(error)
    status: grpc.Status = rpc_status.to_status(message)
    retry = error_details_pb2.RetryInfo()
    for detail in message.details:
        if detail.Unpack(retry) and (seconds := retry.retry_delay.ToNanoseconds() / 1e9) <= _SOON:
            return with_pushback(status, seconds)
    return status


def to_message(error: Exception) -> status_pb2.Status:
    """The same as a message, for one entry of a batch."""
    if isinstance(error, InvalidArgumentError):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=cut(error.reason)
        )
        bad_request = error_details_pb2.BadRequest(field_violations=[violation])
        return _status(code_pb2.INVALID_ARGUMENT, str(error), bad_request)
    if isinstance(error, UnknownIdError):
        info = error_details_pb2.ErrorInfo(
            reason=f"{error.kind.upper()}_NOT_FOUND",
            domain=DOMAIN,
            metadata={
                "id": error.external_id,
                "version": error.version,
                **({"near": error.near[0]} if error.near else {}),
            },
        )
        return _status(code_pb2.NOT_FOUND, str(error), info)
    if isinstance(error, NotPublishedError):
        info = error_details_pb2.ErrorInfo(
            reason="NOT_PUBLISHED",
            domain=DOMAIN,
            metadata={"what": error.what, "version": error.version},
        )
        return _status(code_pb2.FAILED_PRECONDITION, str(error), info)
    if isinstance(error, PageExpiredError):
        info = error_details_pb2.ErrorInfo(
            reason="PAGE_EXPIRED",
            domain=DOMAIN,
            metadata={"page_version": error.of_version, "version": error.version},
        )
        return _status(code_pb2.FAILED_PRECONDITION, str(error), info)
    if isinstance(error, NothingLoadedError):
        reason, seconds = "NOTHING_PUBLISHED", _NOTHING_SECONDS
        if error.passes:
            reason, seconds = "LOADING", _LOADING_SECONDS
        info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
        return _status(code_pb2.UNAVAILABLE, str(error), info, retry_info(seconds))
    if isinstance(error, AbandonedError):
        return _status(code_pb2.CANCELLED, str(error))
    # What went wrong inside is for the log: its text may say more than a caller should read.
    _log.error("unexpected error in a call", exc_info=error)
    return _status(code_pb2.INTERNAL, "internal error; the service's log says more")


def _status(code: int, message: str, *details: Message) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=cut(message))
    for detail in details:
        status.details.add().Pack(detail)
    return status
