"""What the commands for a service print of its messages, for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from recsys.trainer.v1 import trainer_service_pb2 as pb
from rich.console import Console
from rich.table import Table


def run(shown: pb.TrainingRun) -> None:
    """One training run."""
    for warning in [*shown.warnings, *filter(None, [shown.problem])]:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"training run {shown.id}: {_state(shown)}" + (f": {shown.error}" if shown.error else ""))
    if shown.metrics:
        print(
            "metrics: "
            + ", ".join(f"{name} {value:.4f}" for name, value in sorted(shown.metrics.items()))
        )
    for gate in shown.gates:
        print(f"gate {'passed' if gate.passed else 'FAILED'}: {gate.text}")
    if shown.seconds:
        print("seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in shown.seconds.items()))
    if shown.version:
        moved = f", label {shown.spec.label!r} names it" if shown.label_moved else ", no label moved"
        print(f"published {shown.version}{moved}")


def runs(rows: Iterable[pb.TrainingRun], *, next_page: str) -> None:
    """Training runs, the latest first."""
    table = _table("training run", "state", "stage", "queued", "took", "version", "")
    problems = []
    for row in rows:
        if row.problem:
            problems.append(f"{row.id}: {row.problem}")
        if row.state == pb.TRAINING_RUN_STATE_UNSPECIFIED:
            table.add_row(row.id, "unreadable")
            continue
        table.add_row(
            row.id,
            _state(row),
            row.stage + (f" {row.done}/{row.total}" if row.total else ""),
            _ago(row),
            _took(row),
            row.version + (" (labelled)" if row.label_moved else ""),
            _first_cause(row.error)[:60],
        )
    _print(table)
    for problem in problems:
        print(problem)
    if next_page:
        print(f"more: --page-token {next_page}")


def versions(rows: Iterable[pb.Version]) -> None:
    """Versions, newest first."""
    table = _table("version", "labels", "items", "users", "test p@10 unseen", "test AUC unseen")
    for row in rows:
        if row.problem:
            table.add_row(row.name, " ".join(row.labels), "broken")
            continue
        table.add_row(
            row.name,
            " ".join(row.labels),
            f"{row.items:,}",
            f"{row.users:,}",
            *(
                f"{row.metrics[name]:.4f}" if name in row.metrics else "-"
                for name in ("test_precision_at_10_unseen", "test_auc_unseen")
            ),
        )
    _print(table)
    for row in rows:
        if row.problem:
            print(f"{row.name}: {row.problem}")


def _first_cause(error: str) -> str:
    """Of an error of several lines the first reason, which the line before it leads up to."""
    lines = error.splitlines()
    return lines[min(1, len(lines) - 1)].strip() if lines else ""


def _state(of: pb.TrainingRun) -> str:
    return pb.TrainingRunState.Name(of.state).removeprefix("TRAINING_RUN_STATE_")


def _ago(of: pb.TrainingRun) -> str:
    return f"{max(0.0, time.time() - of.created_at.seconds):,.0f} s ago"


def _took(of: pb.TrainingRun) -> str:
    if not of.HasField("started_at"):
        return "-"
    end = of.ended_at.ToNanoseconds() / 1e9 if of.HasField("ended_at") else time.time()
    return f"{max(0.0, end - of.started_at.ToNanoseconds() / 1e9):,.1f} s"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(table: Table) -> None:
    # A table that goes to a file or a pipe keeps its columns whole. Ids are no markup.
    width = None if sys.stdout.isatty() else 1_000_000
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)
