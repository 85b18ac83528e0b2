"""Training specs and runs <-> protobuf messages.

The messages have the dataclasses' field names, so both ways go through plain dicts: a new option costs
a field on either side and nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.timestamp_pb2 import Timestamp
from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.errors import OptionError
from trainer.fitting.lightfm_model import LOSSES
from trainer.runs.store import DamagedRun, Run
from trainer.spec import TrainingSpec

_STATE = "TRAINING_RUN_STATE_"


def spec_of(message: pb.TrainingSpec) -> TrainingSpec:
    """A spec; what isn't set has the dataclass's default, an empty label is none.

    Raises:
        OptionError: a value is out of range; `field_path` finds the field.
        msgspec.ValidationError: the data is missing.
    """
    content: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    # JSON has them as text where a message has 64 bits; none of these fields has.
    if content.get("label") == "":
        content["label"] = None
    content.setdefault("data", {})
    _refuse_what_is_no_number(content, message.DESCRIPTOR)
    loss = content.get("hyperparameters", {}).get("loss", LOSSES[0])
    if loss not in LOSSES:
        # In our words, not in those of who converts it.
        raise OptionError("--loss", loss, f"one of {', '.join(LOSSES)}")
    return msgspec.convert(content, TrainingSpec)


def spec_message(spec: TrainingSpec, *, with_secrets: bool) -> pb.TrainingSpec:
    """Inverse of `spec_of`; without secrets the database's address is left out."""
    content = _without_none(msgspec.to_builtins(spec))
    if spec.label is None:
        content["label"] = ""
    # A service's own: settings of Spark's can run any program, so they don't come by a call.
    content.pop("spark", None)
    if not with_secrets:
        content["data"].pop("database_url", None)
    return ParseDict(content, pb.TrainingSpec())


def run_message(run: Run | DamagedRun) -> pb.TrainingRun:
    """A run as it is sent; of one that can't be read its id and the problem."""
    if isinstance(run, DamagedRun):
        return pb.TrainingRun(id=run.id, problem=_sendable(run.problem))
    outcome, spec, problem = run.outcome, None, run.problem
    try:
        spec = spec_message(run.spec, with_secrets=False)
    except ParseError as error:
        # Somebody changed its row.
        problem = problem or f"its spec can't be sent: {error}"
    return pb.TrainingRun(
        id=run.id,
        request_id=run.request_id,
        state=_STATE + run.state,
        spec=spec,
        problem=_sendable(problem),
        created_at=_timestamp(run.created_at),
        started_at=_timestamp(run.started_at),
        ended_at=_timestamp(run.ended_at),
        stage=outcome.stage,
        done=outcome.done,
        total=outcome.total,
        seconds_left=outcome.seconds_left,
        metrics=outcome.metrics,
        version=outcome.version,
        label_moved=outcome.label_moved,
        gates=[
            pb.GateResult(
                name=gate.name,
                passed=gate.passed,
                measured=gate.measured,
                required=gate.required,
                text=gate.text,
            )
            for gate in outcome.gates
        ],
        warnings=outcome.warnings,
        error=outcome.error,
        seconds=outcome.seconds,
    )


def state_name(state: int) -> str:
    """A state as runs name it: "QUEUED"."""
    return pb.TrainingRunState.Name(state).removeprefix(_STATE)


def field_path(option: str) -> str:
    """The path of the field that an option's flag stands for: "--epochs" -> hyperparameters.epochs."""
    name = option.removeprefix("--").replace("-", "_")
    for path, field in _fields(pb.TrainingSpec.DESCRIPTOR, "spec"):
        if field.name == name:
            return path
    return name


def _refuse_what_is_no_number(content: dict[str, Any], of: Any) -> None:
    """Raise OptionError for NaN and the infinities, which JSON has as texts."""
    for field in of.fields:
        value = content.get(field.name)
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(value, dict) and field.message_type.GetOptions().map_entry:
            # The one map has numbers.
            for name, own in value.items():
                if isinstance(own, str):
                    raise OptionError(flag, f"{name}={own}", "finite numbers")
        elif isinstance(value, dict):
            _refuse_what_is_no_number(value, field.message_type)
        elif isinstance(value, str) and field.type == FieldDescriptor.TYPE_DOUBLE:
            raise OptionError(flag, float(value), "a finite number")


def _fields(of: Any, prefix: str) -> Iterator[tuple[str, FieldDescriptor]]:
    for field in of.fields:
        path = f"{prefix}.{field.name}"
        yield path, field
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            yield from _fields(field.message_type, path)


def _sendable(text: str) -> str:
    # A path in it may be no Unicode.
    return text.encode("utf-8", "replace").decode()


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(own) for key, own in value.items() if own is not None}
    return value


def _timestamp(seconds: float | None) -> Timestamp | None:
    if seconds is None:
        return None
    timestamp = Timestamp()
    timestamp.FromNanoseconds(int(seconds * 1e9))
    return timestamp
