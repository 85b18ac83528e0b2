"""Reads the results of a k6 run from its exported summary, and shows them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.retriever.v1 import retriever_service_pb2 as pb
from rich.table import Table

from tests.benchmarks import frame

# Name of each kind of call in the table, in its order.
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


# Numbers of the calls of one kind, or of one part of a run; None for a number that wasn't counted.
Row = dict[str, Any]


@dataclass(frozen=True)
class Worker:
    """The work of one worker process during the run."""

    index: int
    calls: int
    refused: int
    restarts: int
    pss_before_bytes: int
    pss_after_bytes: int

    def __str__(self) -> str:
        return (
            f"worker {self.index}: {self.calls:,} calls, {self.refused:,} refused, "
            f"{self.restarts} restarts, "
            f"{self.pss_before_bytes / 1e6:.0f} -> {self.pss_after_bytes / 1e6:.0f} MB"
        )


@dataclass(frozen=True)
class Results:
    """The results of a run."""

    rows: Sequence[Row]
    wrong_answers: int
    dropped: int
    missed: Sequence[str]
    # Number of the calls that workers count, with any answer.
    counted_calls: int


def read(summary: Mapping[str, Any]) -> Results:
    """Read the results from the file that `k6 run --summary-export` wrote."""
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
    return {
        "calls": name,
        "count": count if count is not None else int(latency["count"]),
        "rate": count / seconds if count and seconds else None,
        "p50_milliseconds": float(latency["med"]),
        "p90_milliseconds": float(latency["p(90)"]),
        "p99_milliseconds": float(latency["p(99)"]),
        "max_milliseconds": float(latency["max"]),
        "refused": _count(metrics, "refused_calls" + tags),
        "failed": _count(metrics, "failed_calls" + tags),
    }


def _missed(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name, values in sorted(metrics.items()):
        # k6 writes whether a threshold was missed.
        for threshold, missed in values.get("thresholds", {}).items():
            if missed:
                key = re.split(r"[<>=]", threshold)[0].strip()
                was = values.get("value" if key == "rate" and "count" not in values else key)
                yield f"{name}: should be {threshold}" + (
                    f", but was {was:g}" if was is not None else ""
                )


def workers(before: pb.GetStatusResponse, after: pb.GetStatusResponse) -> list[Worker]:
    """Return the work of each worker between two statuses, or since its restart."""
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


_COLUMNS = {
    "number": ("count", 0),
    "a second": ("rate", 1),
    "p50 ms": ("p50_milliseconds", 2),
    "p90 ms": ("p90_milliseconds", 2),
    "p99 ms": ("p99_milliseconds", 2),
    "max ms": ("max_milliseconds", 1),
    "refused": ("refused", 0),
    "failed": ("failed", 0),
}


def table(results: Results) -> Table:
    """Return the results as a table."""
    rows = []
    for row in results.rows:
        numbers = {name: (row[figure], digits) for name, (figure, digits) in _COLUMNS.items()}
        shown = {
            name: "" if value is None else f"{value:,.{digits}f}"
            for name, (value, digits) in numbers.items()
        }
        rows.append({"calls": row["calls"], **shown})
    return frame.table("", rows)
