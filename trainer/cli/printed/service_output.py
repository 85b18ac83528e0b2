"""Prints a service's messages for people."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting import tables
from trainer.cli.printed import printing
from trainer.timings import in_order
from trainer.tracking.tracked_run import flat

# Maps whose keys are names.
_MAPS = ("metrics", "event_weights")


def run(shown: pb.TrainingRun, *, with_end: bool = True) -> None:
    """Print one training run; `with_end=False` leaves out its end, which an error will show."""
    printing.print_warnings([*shown.warnings, *filter(None, [shown.problem])])
    if with_end:
        print(end_of(shown))
    if shown.metrics:
        print(f"metrics: {printing.pairs(dict(sorted(shown.metrics.items())))}")
    printing.print_gates(shown.gates)
    if shown.seconds:
        printing.print_seconds(shown.seconds)
    if shown.version:
        moved = f", label {shown.spec.label!r} names it" if shown.label_moved else ", no label moved"
        print(f"published {shown.version}{moved}")


def end_of(shown: pb.TrainingRun) -> str:
    """Describe a run's state, and the error of a failed run."""
    why = _why(shown)
    return f"training run {shown.id}: {_state(shown)}" + (f": {why}" if why else "")


def runs(rows: Iterable[pb.TrainingRun], *, next_page: str) -> None:
    """Print training runs, the latest first."""
    table = tables.table("training run", "state", "stage", "queued", "took", "version", texts=6)
    table.add_column("error", overflow="fold", min_width=30)
    problems = []
    for row in rows:
        if row.problem:
            problems.append(f"{row.id}: {row.problem}")
        if row.state == pb.TRAINING_RUN_STATE_UNSPECIFIED:
            table.add_row(row.id, "unreadable")
            continue
        # Of several lines, the first introduces the first reason.
        causes = _why(row).splitlines()[:2]
        table.add_row(
            row.id,
            _state(row),
            row.stage + (f" {row.done}/{row.total}" if row.total else ""),
            f"{max(0.0, time.time() - row.created_at.seconds):,.0f} s ago",
            _took(row),
            row.version + (" (labelled)" if row.label_moved else ""),
            causes[-1].strip() if causes else "",
        )
    tables.show(table)
    for problem in problems:
        print(problem)
    if next_page:
        print(f"more: --page-token {next_page}")


def row(shown: pb.TrainingRun) -> dict[str, Any]:
    """Return a run as a row of a table, with the parameters and the metrics of MLflow's."""
    spec = MessageToDict(
        shown.spec, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    seconds = {f"seconds.{stage}": own for stage, own in in_order(shown.seconds).items()}
    times = {
        name: getattr(shown, name).ToJsonString() if shown.HasField(name) else None
        for name in ("created_at", "started_at", "ended_at")
    }
    failed = [gate.name for gate in shown.gates if not gate.passed]
    return {
        "training_run": shown.id,
        "state": _state(shown),
        **times,
        "version": shown.version,
        "label_moved": shown.label_moved,
        "gates_failed": " ".join(failed),
        "error": shown.error,
        "problem": shown.problem,
        "params": flat(spec),
        "metrics": {**dict(sorted(shown.metrics.items())), **seconds},
    }


def content(message: Message) -> dict[str, Any]:
    """Convert a message to JSON. Maps of a message have no order, so their entries are put in one."""
    unordered = MessageToDict(message, preserving_proto_field_name=True)
    return {name: _ordered(name, value) for name, value in unordered.items()}


def _ordered(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(name, own) for own in value]
    if not isinstance(value, dict):
        return value
    if name == "seconds":
        return in_order(value)
    fields = {own: _ordered(own, inner) for own, inner in value.items()}
    return dict(sorted(fields.items())) if name in _MAPS else fields


def _state(of: pb.TrainingRun) -> str:
    return pb.TrainingRunState.Name(of.state).removeprefix("TRAINING_RUN_STATE_")


def _why(of: pb.TrainingRun) -> str:
    """Return the error of a run, without the word that its state already says."""
    if of.state == pb.TRAINING_RUN_STATE_CANCELLED:
        return of.error.removeprefix("cancelled").strip()
    return of.error


def _took(of: pb.TrainingRun) -> str:
    if not of.HasField("started_at"):
        return "-"
    end = of.ended_at.ToNanoseconds() / 1e9 if of.HasField("ended_at") else time.time()
    return f"{max(0.0, end - of.started_at.ToNanoseconds() / 1e9):,.1f} s"
