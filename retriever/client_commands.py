"""The command-line client: asks a service that runs, and prints the answer."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from typing import Literal

from google.protobuf.json_format import MessageToJson
from recsys.retriever.v1 import retriever_service_pb2 as pb
from rich.console import Console
from rich.table import Table

from retriever.client import Answer, RetrieverClient


def run(options: argparse.Namespace) -> int:
    """Ask, print, and return the exit status: 0 answered, 1 a probe found it unhealthy.

    Raises:
        CallError: the service said no, or nothing in time.
    """
    try:
        with RetrieverClient(options.target, connections=1, timeout_seconds=options.timeout) as client:
            if options.command == "status":
                _show_status(client, options)
                return 0
            if options.command == "health":
                return _probe(client, options)
            answer = _ask(client, options)
    except ValueError as error:
        # What no request can hold: a number beyond 32 bits, a text that isn't Unicode.
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(asdict(answer), indent=2, ensure_ascii=False))
    else:
        _print_items(answer)
    return 0


def _show_status(client: RetrieverClient, options: argparse.Namespace) -> None:
    status = client.status()
    if options.json:
        print(MessageToJson(status, preserving_proto_field_name=True, ensure_ascii=False))
    else:
        _print_status(status)


def _ask(client: RetrieverClient, options: argparse.Namespace) -> Answer:
    how = {"limit": options.limit, "search_effort": options.search_effort, "exact": options.exact}
    if options.command == "similar-items":
        return client.similar_items(options.item_id, titles=True, **how)
    return client.recommend(options.user_id, exclude_seen=not options.include_seen, titles=True, **how)


def _probe(client: RetrieverClient, options: argparse.Namespace) -> int:
    serving = client.is_serving()
    healthy = serving or options.liveness
    if options.json:
        print(json.dumps({"healthy": healthy, "serving": serving}))
    else:
        print(f"{'healthy' if healthy else 'unhealthy'}: {'serving' if serving else 'not serving'}")
    return 0 if healthy else 1


def _print_items(answer: Answer) -> None:
    table = _table("score", "item_id", "title")
    for item in answer.items:
        table.add_row(f"{item.score:.4f}", item.item_id, item.title)
    _print(table)
    print(f"version {answer.version}")


def _print_status(status: pb.GetStatusResponse) -> None:
    print(f"version {status.version or 'none'}")
    if status.label:
        print(f"label   {status.label!r} names {status.label_target or 'nothing that can be read'}")
    else:
        print(f"pinned  to {status.label_target}")
    if status.label_problem:
        print(f"        {status.label_problem}")
    if status.HasField("last_reload"):
        last = status.last_reload
        outcome = "succeeded" if last.succeeded else f"failed: {last.reason}"
        print(f"reload  of {last.version} took {last.duration_seconds:.3f} s and {outcome}")
    for failed in status.failed_versions:
        print(f"failed  {failed.version}: {failed.reason}")
    table = _table(
        "worker", "pid", "state", "version", "serves it for", "up for", "restarts",
        "calls", "refused", "in flight", "PSS",
    )  # fmt: skip
    for worker in status.workers:
        state = pb.WorkerState.Name(worker.state).removeprefix("WORKER_STATE_").lower()
        table.add_row(
            str(worker.index),
            str(worker.pid),
            state,
            worker.version or "none",
            _age(worker, "serving_since"),
            _age(worker, "started_at"),
            str(worker.restarts),
            f"{worker.calls:,}",
            f"{worker.refused_calls:,}",
            str(worker.calls_in_flight),
            f"{worker.pss_bytes / 1e6:.1f} MB",
        )
    _print(table)


def _age(worker: pb.WorkerStatus, field: Literal["serving_since", "started_at"]) -> str:
    if not worker.HasField(field):
        return "-"
    return f"{max(0.0, time.time() - getattr(worker, field).seconds):.0f} s"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(table: Table) -> None:
    # A table that goes to a file or a pipe keeps its columns whole. Ids and titles are no markup.
    width = None if sys.stdout.isatty() else 1_000_000
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)
