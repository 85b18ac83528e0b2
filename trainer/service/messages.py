"""Converts specs, training runs and events to protobuf messages and back.

Messages and dataclasses have the same field names, and the conversion copies fields by name. A new
option therefore needs a field in the message and one in the dataclass, but no change here.
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
from lightfm_retriever.hosting.options import declared
from trainer.event_log.log import Event, Removed, Selection
from trainer.runs.store import DamagedRun, Run
from trainer.spec import TrainingSpec

_STATE = "TRAINING_RUN_STATE_"
# Range of a protobuf timestamp in seconds since the epoch: the years 1 to 9999.
_FIRST, _LAST = -62135596800.0, 253402300799.0
# Fields whose flag has another name.
_NAMES = {one.flag: one.name for one in declared(TrainingSpec).values() if one.option.flag}


def spec_of(message: pb.TrainingSpec) -> TrainingSpec:
    """Convert a message to a spec. An unset field gets its default; an empty label becomes None.

    Raises OptionError for a value out of range; `field_path` finds the message's field.
    """
    content = _content(message)
    if content.get("label") == "":
        content["label"] = None
    return msgspec.convert({"data": {}, **content}, TrainingSpec)


def spec_message(spec: TrainingSpec, *, with_secrets: bool) -> pb.TrainingSpec:
    """Convert a spec to a message: the inverse of `spec_of`. Without secrets, omits `database_url`."""
    # The message has no field for Spark: its settings can run any program, so no caller may send them.
    message = pb.TrainingSpec(**fields_of(spec, pb.TrainingSpec.DESCRIPTOR))
    if spec.label is None:
        message.label = ""
    if not with_secrets:
        message.data.ClearField("database_url")
    return message


def run_message(run: Run | DamagedRun) -> pb.TrainingRun:
    """Convert a training run to a message. A damaged run has only its id and its problem."""
    if isinstance(run, DamagedRun):
        return pb.TrainingRun(id=run.id, problem=sendable(run.problem))
    own = fields_of(run, pb.TrainingRun.DESCRIPTOR) | fields_of(run.outcome, pb.TrainingRun.DESCRIPTOR)
    spec, problem = None, run.problem
    try:
        spec = spec_message(run.spec, with_secrets=False)
    except ValueError as error:
        # Another program changed the run's row.
        problem = problem or f"its spec can't be sent: {words.reason(error)}"
    own |= {"spec": spec, "problem": sendable(problem), "state": _STATE + run.state}
    return pb.TrainingRun(**own)


def state_name(state: int) -> str:
    """Return the name of a state without its prefix, such as "QUEUED"."""
    return pb.TrainingRunState.Name(state).removeprefix(_STATE)


def field_path(option: str) -> str:
    """Return the path of an option's field: spec.hyperparameters.epochs for "--epochs"."""
    name = _NAMES.get(option, option.removeprefix("--").replace("-", "_"))
    for path, field in _paths(pb.TrainingSpec.DESCRIPTOR, "spec"):
        if field.name == name:
            return path
    return name


def event_of(message: pb.InteractionEvent) -> Event:
    """Convert a message to an event. An unset field gets its default."""
    return Event(**values_of(Event, message), timestamp=value_of(message, "happened_at"))


def event_message(event: Event) -> pb.InteractionEvent:
    """Convert an event to a message: the inverse of `event_of`."""
    own = fields_of(event, pb.InteractionEvent.DESCRIPTOR)
    return pb.InteractionEvent(**own, happened_at=timestamp(event.timestamp))


def selection_of(message: pb.RemoveInteractionsRequest) -> Selection:
    """Convert a request to a selection of events. Raises InvalidSelectionError."""
    return Selection(**values_of(Selection, message))


def removal_request(selection: Selection, *, dry_run: bool) -> pb.RemoveInteractionsRequest:
    """Convert a selection to a request: the inverse of `selection_of`."""
    own = fields_of(selection, pb.RemoveInteractionsRequest.DESCRIPTOR)
    return pb.RemoveInteractionsRequest(**own, dry_run=dry_run)


def removal_response(removed: Removed) -> pb.RemoveInteractionsResponse:
    """Convert the result of a removal to a response."""
    own = fields_of(removed, pb.RemoveInteractionsResponse.DESCRIPTOR)
    own |= {"removed": removed.events, "examples": map(event_message, removed.examples)}
    return pb.RemoveInteractionsResponse(**own)


def removed_of(message: pb.RemoveInteractionsResponse) -> Removed:
    """Convert a response to the result of a removal: the inverse of `removal_response`."""
    values = values_of(Removed, message)
    values["examples"] = [event_of(event) for event in message.examples]
    return Removed(**values, events=message.removed)


def timestamp(seconds: float | None) -> Timestamp | None:
    """Convert seconds since the epoch to a protobuf timestamp, in whole microseconds."""
    if seconds is None:
        return None
    # An old log may hold times that today's events and messages can't have.
    seconds = min(max(seconds, _FIRST), _LAST) if seconds == seconds else _FIRST
    # A float of this size is exact to about a microsecond.
    whole, rest = divmod(round(seconds * 1e6), 1_000_000)
    return Timestamp(seconds=whole, nanos=rest * 1000)


def _content(message: Message) -> dict[str, Any]:
    """Return the set fields of a message by name. Unlike protobuf's JSON, keeps numbers as numbers."""
    return {
        field.name: _content(value) if isinstance(value, Message) else _plain(value)
        for field, value in message.ListFields()
    }


def values_of(of: type[Any], message: Message) -> dict[str, Any]:
    """Return the set fields of a message that the dataclass has too, by name."""
    known = message.DESCRIPTOR.fields_by_name
    found = {own.name: value_of(message, own.name) for own in fields(of) if own.name in known}
    return {name: value for name, value in found.items() if value is not None}


def value_of(message: Message, name: str) -> Any:
    """Return a field's value, a timestamp as seconds since the epoch; None for an unset field."""
    if message.DESCRIPTOR.fields_by_name[name].has_presence and not message.HasField(name):
        return None
    value = getattr(message, name)
    if isinstance(value, Timestamp):
        # Timestamp's own methods refuse some numbers without saying where. The event log says it.
        return float(value.seconds) + value.nanos / 1e9
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool | int | float):
        return value
    return dict(value) if isinstance(value, Mapping) else list(value)


def fields_of(of: Any, message: Any) -> dict[str, Any]:
    """Return the dataclass's fields that the message has too, by name, as the message holds them."""
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
    """Replace characters that a message can't hold: a path may not be valid Unicode."""
    return text.encode("utf-8", "replace").decode()
