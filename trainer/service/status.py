"""Turns exceptions into gRPC statuses. No other module does this."""

from __future__ import annotations

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2

from lightfm_retriever.hosting import statuses
from lightfm_retriever.hosting.observing.repeats import logger_of_calls
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    LabelError,
    LabelledVersionError,
    LabelMovedError,
    NothingToRollBackToError,
    PublicationError,
    VersionNotFoundError,
)
from trainer.errors import (
    DamagedRunError,
    OptionError,
    RequestIdReusedError,
    RunEndedError,
    RunNotFoundError,
    StateError,
    TooManyRunsError,
    TrainerError,
)
from trainer.event_log.errors import EventLogError, InvalidEventError, InvalidSelectionError
from trainer.service.messages import field_path

# About the duration of a restart.
_BACK_SECONDS = 5.0

_log = logger_of_calls(__name__)


class FieldError(TrainerError):
    """A field of a request has a wrong value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class TooManyWatchersError(TrainerError):
    """The maximum number of calls watch already."""


class AnswerTooLargeError(TrainerError):
    """A response is larger than clients can receive."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"the answer would have {size} bytes, but clients receive at most {most}")


class StoppingError(TrainerError):
    """The service stops while a call waits."""


_INFOS: tuple[tuple[type[Exception], int, str], ...] = (
    (VersionNotFoundError, code_pb2.NOT_FOUND, "VERSION_NOT_FOUND"),
    (RunNotFoundError, code_pb2.NOT_FOUND, "TRAINING_RUN_NOT_FOUND"),
    (LabelledVersionError, code_pb2.FAILED_PRECONDITION, "VERSION_LABELLED"),
    (InvalidPublicationError, code_pb2.FAILED_PRECONDITION, "VERSION_INVALID"),
    (RunEndedError, code_pb2.FAILED_PRECONDITION, "TRAINING_RUN_ENDED"),
    (DamagedRunError, code_pb2.FAILED_PRECONDITION, "TRAINING_RUN_DAMAGED"),
    (NothingToRollBackToError, code_pb2.FAILED_PRECONDITION, "NOTHING_TO_ROLL_BACK_TO"),
    (LabelMovedError, code_pb2.FAILED_PRECONDITION, "LABEL_MOVED"),
    (RequestIdReusedError, code_pb2.ALREADY_EXISTS, "REQUEST_ID_REUSED"),
    (TooManyRunsError, code_pb2.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
    (AnswerTooLargeError, code_pb2.FAILED_PRECONDITION, "ANSWER_TOO_LARGE"),
    (TooManyWatchersError, code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS"),
    (StoppingError, code_pb2.UNAVAILABLE, "STOPPING"),
    (StateError, code_pb2.UNAVAILABLE, "STORE_UNUSABLE"),
    (EventLogError, code_pb2.UNAVAILABLE, "STORE_UNUSABLE"),
    (PublicationError, code_pb2.UNAVAILABLE, "VOLUME_UNUSABLE"),
)


def to_status(error: Exception) -> grpc.Status:
    """Return the status of an exception. Logs an unexpected one, and hides its text from the caller."""
    return statuses.to_grpc(_message(error))


def _message(error: Exception) -> status_pb2.Status:
    if (problem := _field_problem(error)) is not None:
        field, why = problem
        return statuses.invalid(field, why, f"{field}: {why}")
    for kind, code, name in _INFOS:
        if isinstance(error, kind):
            details: list[Message] = [statuses.reason(name)]
            if isinstance(error, StoppingError):
                details.append(statuses.retry_after(_BACK_SECONDS))
            elif code == code_pb2.UNAVAILABLE:
                _log.error("a call can't be answered: %s", error)
            return statuses.make(code, str(error), *details)
    if isinstance(error, TrainerError):
        # Something is wrong with the request's data: a file can't be read, for instance.
        reason = statuses.reason("TRAINER_ERROR")
        return statuses.make(code_pb2.FAILED_PRECONDITION, str(error), reason)
    return statuses.unexpected(error, _log)


def _field_problem(error: Exception) -> tuple[str, str] | None:
    """Return the wrong field of the request and the reason; None if no field is wrong."""
    match error:
        case FieldError() | InvalidSelectionError():
            return error.field, error.reason
        case LabelError():
            return "label", error.reason
        case InvalidEventError():
            field = {"timestamp": "happened_at"}.get(error.field, error.field)
            return f"events[{error.position}].{field}", error.reason
        case OptionError():
            return field_path(error.option), error.problem
    return None
