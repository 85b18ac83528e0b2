"""How many bytes requests and answers of the service may have."""

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
"""As many ids as RemoveInteractions takes; AppendInteractions takes no larger message either."""

# Less than what a client takes by default.
_MAX_PAGE_BYTES = 3 << 20
_MAX_LISTED_BYTES = 1 << 20

_Message = TypeVar("_Message", bound=Message)


def check_events(request: pb.AppendInteractionsRequest) -> None:
    """Raise FieldError for a message of more bytes than one may have."""
    if (size := request.ByteSize()) > MAX_REQUEST_BYTES:
        raise FieldError(
            "events",
            f"have {size} bytes, but should have at most {MAX_REQUEST_BYTES}: send several messages",
        )


def one_page(messages: Iterable[_Message]) -> Iterator[_Message]:
    """Yield messages as long as a page has room for them, and one at least."""
    total = 0
    for place, message in enumerate(messages):
        total += message.ByteSize()
        if place and total > _MAX_PAGE_BYTES:
            return
        yield message


def listed(version: pb.Version) -> pb.Version:
    """Return one version of many, without its metrics where it would leave others no room."""
    if (size := version.ByteSize()) > _MAX_LISTED_BYTES:
        version.ClearField("metrics")
        version.problem = _too_large(size)
    return version


def listed_run(run: pb.TrainingRun) -> pb.TrainingRun:
    """Return one run of many, with no more than state and times where it would leave others no room.

    Only a row that somebody changed is that large.
    """
    if (size := run.ByteSize()) <= _MAX_LISTED_BYTES:
        return run
    short = pb.TrainingRun(id=run.id, state=run.state, problem=_too_large(size))
    for name in ("created_at", "started_at", "ended_at"):
        if run.HasField(name):
            getattr(short, name).CopyFrom(getattr(run, name))
    return short


def _too_large(size: int) -> str:
    return f"it has {size} bytes, but a list shows at most {_MAX_LISTED_BYTES} of each"
