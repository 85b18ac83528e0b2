"""Specs, runs and events <-> protobuf messages.

The messages have the dataclasses' field names, so each way goes through their fields: a new option
costs a field on either side and nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting import words
from trainer.event_log.log import Event, Removed, Selection
from trainer.runs.store import DamagedRun, Run
from trainer.spec import TrainingSpec

_STATE = "TRAINING_RUN_STATE_"
# What a message's timestamp can be: the years 1 to 9999.
_FIRST, _LAST = -62135596800.0, 253402300799.0


def spec_of(message: pb.TrainingSpec) -> TrainingSpec:
    """A spec; what isn't set has the dataclass's default, an empty label is none.

    Raises OptionError for a value out of range; `field_path` finds the field.
    """
    content = _content(message)
    if content.get("label") == "":
        content["label"] = None
    return msgspec.convert({"data": {}, **content}, TrainingSpec)


def spec_message(spec: TrainingSpec, *, with_secrets: bool) -> pb.TrainingSpec:
    """Inverse of `spec_of`; without secrets the database's address is left out."""
    # Spark isn't among its fields: settings of Spark's can run any program, so no call brings them.
    message = pb.TrainingSpec(**fields_of(spec, pb.TrainingSpec.DESCRIPTOR))
    if spec.label is None:
        message.label = ""
    if not with_secrets:
        message.data.ClearField("database_url")
    return message


def run_message(run: Run | DamagedRun) -> pb.TrainingRun:
    """A run as it is sent; of one that can't be read its id and the problem."""
    if isinstance(run, DamagedRun):
        return pb.TrainingRun(id=run.id, problem=sendable(run.problem))
    own = fields_of(run, pb.TrainingRun.DESCRIPTOR) | fields_of(run.outcome, pb.TrainingRun.DESCRIPTOR)
    spec, problem = None, run.problem
    try:
        spec = spec_message(run.spec, with_secrets=False)
    except ValueError as error:
        # Somebody changed its row.
        problem = problem or f"its spec can't be sent: {words.reason(error)}"
    own |= {"spec": spec, "problem": sendable(problem), "state": _STATE + run.state}
    return pb.TrainingRun(**own)


def state_name(state: int) -> str:
    """A state as runs name it: "QUEUED"."""
    return pb.TrainingRunState.Name(state).removeprefix(_STATE)


def field_path(option: str) -> str:
    """The path of the field that an option's flag stands for: "--epochs" -> hyperparameters.epochs."""
    name = option.removeprefix("--").replace("-", "_")
    for path, field in _paths(pb.TrainingSpec.DESCRIPTOR, "spec"):
        if field.name == name:
            return path
    return name


def event_of(message: pb.InteractionEvent) -> Event:
    """An event as it was sent; what isn't set has the default."""
    return Event(**values_of(Event, message), timestamp=value_of(message, "happened_at"))


def event_message(event: Event) -> pb.InteractionEvent:
    """Inverse of `event_of`."""
    own = fields_of(event, pb.InteractionEvent.DESCRIPTOR)
    return pb.InteractionEvent(**own, happened_at=timestamp(event.timestamp))


def selection_of(message: pb.RemoveInteractionsRequest) -> Selection:
    """Which events a request is about; raises InvalidSelectionError."""
    return Selection(**values_of(Selection, message))


def removal_request(selection: Selection, *, dry_run: bool) -> pb.RemoveInteractionsRequest:
    """Inverse of `selection_of`."""
    own = fields_of(selection, pb.RemoveInteractionsRequest.DESCRIPTOR)
    return pb.RemoveInteractionsRequest(**own, dry_run=dry_run)


def removal_response(removed: Removed) -> pb.RemoveInteractionsResponse:
    """What was removed, as it is sent."""
    own = fields_of(removed, pb.RemoveInteractionsResponse.DESCRIPTOR)
    own |= {"removed": removed.events, "examples": map(event_message, removed.examples)}
    return pb.RemoveInteractionsResponse(**own)


def removed_of(message: pb.RemoveInteractionsResponse) -> Removed:
    """Inverse of `removal_response`."""
    values = values_of(Removed, message)
    values["examples"] = [event_of(event) for event in message.examples]
    return Removed(**values, events=message.removed)


def timestamp(seconds: float | None) -> Timestamp | None:
    """A time as messages have it."""
    if seconds is None:
        return None
    # An old log may hold times that no event could have today, and no message either.
    seconds = min(max(seconds, _FIRST), _LAST) if seconds == seconds else _FIRST
    # To the microsecond, which is about what a float has.
    whole, rest = divmod(round(seconds * 1e6), 1_000_000)
    return Timestamp(seconds=whole, nanos=rest * 1000)


def _content(message: Message) -> dict[str, Any]:
    """What is set in a message, by name. Unlike JSON's, its numbers are numbers, NaN too."""
    return {
        field.name: _content(value) if isinstance(value, Message) else _plain(value)
        for field, value in message.ListFields()
    }


def values_of(of: type[Any], message: Message) -> dict[str, Any]:
    """What a message has for a dataclass's fields, less what isn't set; other names are left out."""
    known = message.DESCRIPTOR.fields_by_name
    found = {own.name: value_of(message, own.name) for own in fields(of) if own.name in known}
    return {name: value for name, value in found.items() if value is not None}


def value_of(message: Message, name: str) -> Any:
    """What a field has, a time in seconds; None where it could be set, but isn't."""
    if message.DESCRIPTOR.fields_by_name[name].has_presence and not message.HasField(name):
        return None
    value = getattr(message, name)
    if isinstance(value, Timestamp):
        # Not by its own methods, which refuse some numbers: the event log says which, and where.
        return float(value.seconds) + value.nanos / 1e9
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool | int | float):
        return value
    return dict(value) if isinstance(value, Mapping) else list(value)


def fields_of(of: Any, message: Any) -> dict[str, Any]:
    """A message's fields from a dataclass's; those of other names are left out."""
    known = message.fields_by_name
    return {
        own.name: _field(getattr(of, own.name), known[own.name])
        for own in fields(of)
        if own.name in known
    }


def _field(value: Any, field: FieldDescriptor) -> Any:
    kind = field.message_type
    if kind is None or value is None:
        return value
    if kind is Timestamp.DESCRIPTOR:
        return timestamp(value)
    if isinstance(value, list):
        return [fields_of(own, kind) for own in value]
    return fields_of(value, kind) if is_dataclass(value) else value


def _paths(of: Any, prefix: str) -> Iterator[tuple[str, FieldDescriptor]]:
    for field in of.fields:
        path = f"{prefix}.{field.name}"
        yield path, field
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            yield from _paths(field.message_type, path)


def sendable(text: str) -> str:
    """A text that a message can hold: a path in it may be no Unicode."""
    return text.encode("utf-8", "replace").decode()
