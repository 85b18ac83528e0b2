"""The command-line client: asks a service that runs, and prints the answer."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToJson
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc
from rich.console import Console
from rich.table import Table

_TITLE = FieldMask(paths=["title"])


def run(options: argparse.Namespace) -> int:
    """Ask, print, and return the exit status: 0 answered, 1 the service said no or didn't answer."""
    with grpc.insecure_channel(options.target) as channel:
        stub = pb_grpc.RetrieverServiceStub(channel)
        try:
            response = _ask(stub, options)
        except grpc.RpcError as error:
            print(f"error: {options.target}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
        except ValueError as error:
            # What no request can hold: a number beyond 32 bits, a text that isn't Unicode.
            print(f"error: {error}", file=sys.stderr)
            return 1
    if options.json:
        print(MessageToJson(response, preserving_proto_field_name=True, ensure_ascii=False))
    elif isinstance(response, pb.GetStatusResponse):
        _print_status(response)
    else:
        _print_items(response.items)
        print(f"version {response.version}")
    return 0


def _ask(
    stub: pb_grpc.RetrieverServiceStub, options: argparse.Namespace
) -> pb.SimilarItemsResponse | pb.RecommendResponse | pb.GetStatusResponse:
    if options.command == "similar-items":
        return stub.SimilarItems(
            pb.SimilarItemsRequest(
                item_id=options.item_id, limit=options.limit, return_attributes=_TITLE
            ),
            timeout=options.timeout,
        )
    if options.command == "recommend":
        return stub.Recommend(
            pb.RecommendRequest(
                user_id=options.user_id,
                limit=options.limit,
                exclude_seen=not options.include_seen,
                return_attributes=_TITLE,
            ),
            timeout=options.timeout,
        )
    return stub.GetStatus(pb.GetStatusRequest(), timeout=options.timeout)


def _print_items(items: Iterable[pb.ScoredItem]) -> None:
    table = _table("score", "item_id", "title")
    for item in items:
        table.add_row(f"{item.score:.4f}", item.item_id, item.title)
    _print(table)


def _print_status(status: pb.GetStatusResponse) -> None:
    print(f"version {status.version or 'none'}")
    print(f"label   {status.label!r} names {status.label_target or 'nothing that can be read'}")
    if status.label_problem:
        print(f"        {status.label_problem}")
    if status.HasField("last_reload"):
        last = status.last_reload
        outcome = "succeeded" if last.succeeded else f"failed: {last.reason}"
        print(f"reload  of {last.version} took {last.duration_seconds:.3f} s and {outcome}")
    table = _table("worker", "pid", "state", "version", "up for", "restarts")
    for worker in status.workers:
        state = pb.WorkerState.Name(worker.state).removeprefix("WORKER_STATE_").lower()
        up = time.time() - worker.started_at.seconds if worker.HasField("started_at") else 0
        table.add_row(
            str(worker.index),
            str(worker.pid),
            state,
            worker.version or "none",
            f"{up:.0f} s",
            str(worker.restarts),
        )
    _print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(table: Table) -> None:
    # A table that goes to a file or a pipe keeps its columns whole. Ids and titles are no markup.
    width = None if sys.stdout.isatty() else 1_000_000
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)
