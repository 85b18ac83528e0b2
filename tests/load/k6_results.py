"""What a run of k6 measured: read from the summary that it exports, and shown to people or machines."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from recsys.retriever.v1 import retriever_service_pb2 as pb
from rich.console import Console
from rich.table import Table

# In the order of the table; what each kind of call is called there.
KINDS = {
    "recommend": "Recommend",
    "session": "Recommend, session",
    "filter": "Recommend, filter",
    "similar": "SimilarItems",
    "batch_recommend": "BatchRecommend, 16 each",
    "batch_similar": "BatchSimilarItems, 16 each",
    "status": "GetStatus",
    "unknown_user": "Recommend, unknown user",
}
PARTS = {"before": "all, before the spike", "after": "all, after the spike"}
_LATENCY = "grpc_req_duration"


@dataclass(frozen=True)
class Row:
    """The calls of one kind, or of one part of a run; None where it wasn't counted."""

    calls: str
    count: int | None
    rate: float | None
    p50_milliseconds: float
    p90_milliseconds: float
    p99_milliseconds: float
    max_milliseconds: float
    refused: int | None
    failed: int | None


@dataclass(frozen=True)
class Worker:
    """What one worker process did meanwhile."""

    index: int
    calls: int
    refused: int
    restarts: int
    pss_before_bytes: int
    pss_after_bytes: int


@dataclass(frozen=True)
class Results:
    """What came of a run."""

    rows: Sequence[Row]
    wrong_answers: int
    dropped: int
    missed: Sequence[str]
    # Of the calls those that a worker counts, whatever it answered.
    counted_calls: int


def read(summary: Mapping[str, Any]) -> Results:
    """The results in what `k6 run --summary-export` wrote."""
    metrics = summary["metrics"]
    seconds = _seconds(metrics)
    rows = [_row(metrics, f"{{kind:{kind}}}", name, seconds) for kind, name in KINDS.items()]
    rows += [_row(metrics, f"{{scenario:{part}}}", name, 0) for part, name in PARTS.items()]
    rows.append(_row(metrics, "", "all", seconds))
    return Results(
        [row for row in rows if row is not None],
        wrong_answers=int(metrics.get("checks", {}).get("fails", 0)),
        dropped=_count(metrics, "dropped_iterations") or 0,
        missed=list(_missed(metrics)),
        counted_calls=sum(
            sign * (_count(metrics, name) or 0)
            for name, sign in (("calls", 1), ("calls{kind:status}", -1), ("failed_calls", -1))
        ),
    )


def _seconds(metrics: Mapping[str, Any]) -> float:
    # k6 gives the rate of each counter over the whole run.
    calls = metrics.get("calls", {})
    return calls["count"] / calls["rate"] if calls.get("rate") else 0


def _count(metrics: Mapping[str, Any], name: str) -> int | None:
    return int(metrics[name]["count"]) if name in metrics else None


def _row(metrics: Mapping[str, Any], tags: str, name: str, seconds: float) -> Row | None:
    latency = metrics.get(_LATENCY + tags)
    count = _count(metrics, "calls" + tags)
    if latency is None or not (latency["count"] if count is None else count):
        return None
    return Row(
        name,
        count if count is not None else int(latency["count"]),
        count / seconds if count and seconds else None,
        p50_milliseconds=float(latency["med"]),
        p90_milliseconds=float(latency["p(90)"]),
        p99_milliseconds=float(latency["p(99)"]),
        max_milliseconds=float(latency["max"]),
        refused=_count(metrics, "refused_calls" + tags),
        failed=_count(metrics, "failed_calls" + tags),
    )


def _missed(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name, values in sorted(metrics.items()):
        # k6 writes whether a threshold was missed.
        for threshold, missed in values.get("thresholds", {}).items():
            if missed:
                key = re.split(r"[<>=]", threshold)[0].strip()
                was = values.get("value" if key == "rate" and "count" not in values else key)
                yield f"{name}: {threshold} was wanted" + (
                    f", it was {was:g}" if was is not None else ""
                )


def workers(before: pb.GetStatusResponse, after: pb.GetStatusResponse) -> list[Worker]:
    """What each worker did between two statuses; a restarted one counts from its restart."""
    found = []
    by_index = {worker.index: worker for worker in before.workers}
    for worker in after.workers:
        old = by_index.get(worker.index, pb.WorkerStatus())
        base = old if old.pid == worker.pid else pb.WorkerStatus()
        found.append(
            Worker(
                worker.index,
                worker.calls - base.calls,
                worker.refused_calls - base.refused_calls,
                worker.restarts - old.restarts,
                old.pss_bytes,
                worker.pss_bytes,
            )
        )
    return found


def print_table(
    console: Console, title: str, results: Results, found: Sequence[Worker], notes: Sequence[str]
) -> None:
    """For people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("calls", "number", "a second", "p50 ms", "p90 ms", "p99 ms", "max ms", "refused",
                   "failed"):  # fmt: skip
        table.add_column(column, justify="left" if column == "calls" else "right", no_wrap=True)
    for row in results.rows:
        table.add_row(
            row.calls,
            _number(row.count),
            _number(row.rate, 1),
            _number(row.p50_milliseconds, 2),
            _number(row.p90_milliseconds, 2),
            _number(row.p99_milliseconds, 2),
            _number(row.max_milliseconds, 1),
            _number(row.refused),
            _number(row.failed),
        )
    console.print(title, soft_wrap=True)
    console.print(table)
    print_workers(console, found)
    for note in notes:
        console.print(note, soft_wrap=True)


def print_workers(console: Console, found: Sequence[Worker]) -> None:
    """A line for each."""
    for worker in found:
        console.print(
            f"worker {worker.index}: {worker.calls:,} calls, {worker.refused:,} refused, "
            f"{worker.restarts} restarts, "
            f"{worker.pss_before_bytes / 1e6:.0f} -> {worker.pss_after_bytes / 1e6:.0f} MB",
            soft_wrap=True,
        )


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def as_json(
    facts: Mapping[str, Any], results: Results, found: Sequence[Worker], switches: Sequence[float]
) -> str:
    """For machines."""
    content = {
        **facts,
        **asdict(results),
        "workers": [asdict(worker) for worker in found],
        "switch_seconds": list(switches),
    }
    return json.dumps(content, indent=2)
