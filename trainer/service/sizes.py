"""Limits the size of the service's requests and responses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting.message_sizes import ID_FIELD_BYTES, whole_mib
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from trainer.event_log.removal import MAX_VALUES
from trainer.service.status import FieldError

MAX_REQUEST_BYTES = whole_mib(MAX_VALUES * (MAX_ID_BYTES + ID_FIELD_BYTES))
"""Maximum bytes of a request: room for all ids that RemoveInteractions takes."""

# Less than the 4 MiB that a client receives by default.
_MAX_PAGE_BYTES = 3 << 20
_MAX_LISTED_BYTES = 1 << 20

_Message = TypeVar("_Message", bound=Message)


def check_events(request: pb.AppendInteractionsRequest) -> None:
    """Raise FieldError for a message of more than MAX_REQUEST_BYTES."""
    if (size := request.ByteSize()) > MAX_REQUEST_BYTES:
        raise FieldError(
            "events",
            f"have {size} bytes, but should have at most {MAX_REQUEST_BYTES}: send several messages",
        )


def one_page(messages: Iterable[_Message]) -> Iterator[_Message]:
    """Yield messages while the page has room for them; always yields the first one."""
    total = 0
    for place, message in enumerate(messages):
        total += message.ByteSize()
        if place and total > _MAX_PAGE_BYTES:
            return
        yield message


def listed(version: pb.Version) -> pb.Version:
    """Return a version for a list, without its metrics if it is too large."""
    if (size := version.ByteSize()) > _MAX_LISTED_BYTES:
        version.ClearField("metrics")
        version.ClearField("errors")
        version.problem = _too_large(size)
    return version


def listed_run(run: pb.TrainingRun) -> pb.TrainingRun:
    """Return a training run for a list, with only state and times if it is too large.

    Only a row that another program changed is that large.
    """
    if (size := run.ByteSize()) <= _MAX_LISTED_BYTES:
        return run
    short = pb.TrainingRun(id=run.id, state=run.state, problem=_too_large(size))
    for name in ("created_at", "started_at", "ended_at"):
        if run.HasField(name):
            getattr(short, name).CopyFrom(getattr(run, name))
    return short


def _too_large(size: int) -> str:
    return f"has {size} bytes, but a list shows at most {_MAX_LISTED_BYTES} of each entry"
