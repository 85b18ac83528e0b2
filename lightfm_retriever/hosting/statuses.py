"""gRPC statuses, with details for programs, as all our services give them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "lightfm-retriever"
"""Of every google.rpc.ErrorInfo."""

# gRPC's own retries ignore RetryInfo, and wait by this trailer.
_PUSHBACK = "grpc-retry-pushback-ms"
# A retry that comes later than this may come after the caller's deadline, which would hide the reason.
_SOON = 2.0
# gRPC turns a status of more than about 8 kB into another one. It sends the text three times: once with
# %XX for a byte, and twice in base 64.
_MAX_BYTES = 1300


def make(code: int, text: str, *details: Message) -> status_pb2.Status:
    """Make a status, as a message."""
    status = status_pb2.Status(code=code, message=_cut(text))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def reason(name: str, metadata: Mapping[str, str] | None = None) -> error_details_pb2.ErrorInfo:
    """Name the cause for programs, which a text isn't for."""
    return error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN, metadata=metadata)


def invalid(field: str, why: str, text: str) -> status_pb2.Status:
    """Say that a field of the request can't be used."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=_cut(why))
    bad_request = error_details_pb2.BadRequest(field_violations=[violation])
    return make(code_pb2.INVALID_ARGUMENT, text, bad_request)


def retry_after(seconds: float) -> error_details_pb2.RetryInfo:
    """Ask callers to come again after so long."""
    made = error_details_pb2.RetryInfo()
    made.retry_delay.FromNanoseconds(int(seconds * 1e9))
    return made


def unexpected(error: Exception, log: logging.Logger) -> status_pb2.Status:
    """Log an error that nobody foresaw, whose text may say more than a caller should read."""
    log.error("unexpected error in a call", exc_info=error)
    return make(code_pb2.INTERNAL, "internal error; the service's log says more")


def to_grpc(status: status_pb2.Status) -> grpc.Status:
    """Make a status that a call can be ended with; a short RetryInfo is told to gRPC's retries, too."""
    # What grpc_status makes is a named tuple; its package has no types.
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
    # A file's name may hold what no message can.
    return text.encode("utf-8", "replace")[:_MAX_BYTES].decode("utf-8", "ignore")
