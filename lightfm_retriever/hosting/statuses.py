"""gRPC statuses with details for programs, in the form of all our services."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "lightfm-retriever"
"""The domain of every google.rpc.ErrorInfo."""

# gRPC's own retries ignore RetryInfo and use this trailer.
_PUSHBACK = "grpc-retry-pushback-ms"
# A later retry may come after the caller's deadline. The caller would then see the deadline, not the
# reason.
_SOON = 2.0
# gRPC replaces a status of more than about 8 kB by another one. It sends the text three times: once
# with %XX for each byte, and twice in base 64.
_MAX_BYTES = 1300


def make(code: int, text: str, *details: Message) -> status_pb2.Status:
    """Make a status message."""
    status = status_pb2.Status(code=code, message=_cut(text))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def reason(name: str, metadata: Mapping[str, str] | None = None) -> error_details_pb2.ErrorInfo:
    """Make the detail that names the cause for programs."""
    return error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN, metadata=metadata)


def invalid(field: str, why: str, text: str) -> status_pb2.Status:
    """Make a status for an invalid field of a request."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=_cut(why))
    bad_request = error_details_pb2.BadRequest(field_violations=[violation])
    return make(code_pb2.INVALID_ARGUMENT, text, bad_request)


def retry_after(seconds: float) -> error_details_pb2.RetryInfo:
    """Make the detail that asks callers to retry after some seconds."""
    made = error_details_pb2.RetryInfo()
    made.retry_delay.FromNanoseconds(int(seconds * 1e9))
    return made


def unexpected(error: Exception, log: logging.Logger) -> status_pb2.Status:
    """Log an unexpected error and make a status without its text, which may contain private data."""
    log.error("unexpected error in a call", exc_info=error)
    return make(code_pb2.INTERNAL, "internal error: see the log of the service")


def to_grpc(status: status_pb2.Status) -> grpc.Status:
    """Convert a status message to a gRPC status. A short RetryInfo also becomes gRPC's own trailer."""
    # grpc_status makes a named tuple; its package has no types.
    made: Any = rpc_status.to_status(status)
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry) and (seconds := retry.retry_delay.ToNanoseconds() / 1e9) <= _SOON:
            trailing = (*(made.trailing_metadata or ()), (_PUSHBACK, str(round(seconds * 1000))))
            made = made._replace(trailing_metadata=trailing)
    return cast("grpc.Status", made)


def abort(context: grpc.ServicerContext, status: grpc.Status) -> NoReturn:
    """End a call with a status."""
    context.abort_with_status(status)
    raise AssertionError("abort_with_status always raises")


def _cut(text: str) -> str:
    # A file name may contain bytes that a message can't.
    return text.encode("utf-8", "replace")[:_MAX_BYTES].decode("utf-8", "ignore")
