"""Convert exceptions to gRPC statuses. No other module does."""

from __future__ import annotations

import grpc
from google.rpc import code_pb2, status_pb2

from lightfm_retriever.hosting import statuses
from lightfm_retriever.hosting.observing.repeats import logger_of_calls
from retriever.errors import (
    AbandonedError,
    InvalidArgumentError,
    NothingLoadedError,
    NotPublishedError,
    PageExpiredError,
    UnknownIdError,
)

# Reason, and seconds after which to retry: while a version is being loaded, and while there is none.
_LOADING, _NOTHING = ("LOADING", 1.0), ("NOTHING_PUBLISHED", 5.0)

_log = logger_of_calls(__name__)


def to_status(error: Exception) -> grpc.Status:
    """Convert an error to a gRPC status with google.rpc details.

    An unexpected error is logged; its status contains nothing of it.
    """
    return statuses.to_grpc(to_message(error))


def to_message(error: Exception) -> status_pb2.Status:
    """Convert an error to a status message, for one request of a batch."""
    if isinstance(error, InvalidArgumentError):
        return statuses.invalid(error.field, error.reason, str(error))
    if isinstance(error, AbandonedError):
        return statuses.make(code_pb2.CANCELLED, str(error))
    if isinstance(error, UnknownIdError):
        told = {"id": error.external_id, "version": error.version}
        if error.near:
            told["near"] = error.near[0]
        reason = statuses.reason(f"{error.kind.upper()}_NOT_FOUND", told)
        return statuses.make(code_pb2.NOT_FOUND, str(error), reason)
    if isinstance(error, NotPublishedError):
        told = {"what": error.what, "version": error.version}
        if error.model:
            told["model"] = error.model
        reason = statuses.reason("NOT_PUBLISHED", told)
        return statuses.make(code_pb2.FAILED_PRECONDITION, str(error), reason)
    if isinstance(error, PageExpiredError):
        told = {"page_version": error.of_version, "version": error.version}
        reason = statuses.reason("PAGE_EXPIRED", told)
        return statuses.make(code_pb2.FAILED_PRECONDITION, str(error), reason)
    if isinstance(error, NothingLoadedError):
        name, seconds = _LOADING if error.passes else _NOTHING
        again = statuses.retry_after(seconds)
        return statuses.make(code_pb2.UNAVAILABLE, str(error), statuses.reason(name), again)
    return statuses.unexpected(error, _log)
