"""What the first calls after a change of versions cost, beside those that follow.

Two measurements: through the RPC, where the label goes to and fro between two versions of a running
service; and in one process, where a snapshot is asked for the first time with and without its warm-up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication import labels
from retriever.answering import queries
from retriever.answering.snapshot import Snapshot, open_snapshot
from retriever.client import RetrieverClient
from retriever.worker.warm_up import warm_up
from tests.load import models
from tests.machine import machine_name
from tests.service import Service

LATER = 50


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.first_call",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=50_000, help="items of each version")
    parser.add_argument("--components", type=int, default=64, help="dimensions of the embeddings")
    parser.add_argument("--switches", type=int, default=20, help="changes of versions to measure")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        volume = Path(temporary) / "volume"
        size = models.Size(items=options.items, components=options.components, every=False)
        print(f"publishing two versions of {options.items:,} items", file=sys.stderr)
        versions = [models.publish(volume, family, 1, size).version for family in "ab"]
        figures = {
            **through_the_rpc(volume, versions, options.switches),
            **in_one_process(volume, versions[0], options.switches),
        }
    machine = machine_name()
    if options.json:
        print(json.dumps({"machine": machine, "microseconds": figures}, indent=2))
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold", title=machine, title_justify="left")
    for column in ("", "median µs", "slowest µs"):
        table.add_column(column, justify="left" if not column else "right")
    for name, values in figures.items():
        table.add_row(name, f"{np.median(values):.0f}", f"{max(values):.0f}")
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
    return 0


def through_the_rpc(volume: Path, versions: list[str], switches: int) -> dict[str, list[float]]:
    """One worker and one connection."""
    first, later = [], []
    labels.promote(volume, versions[1])
    with (
        Service(volume, volume.parent / "log", workers=1, poll_seconds=0.05) as service,
        RetrieverClient(service.target, connections=1) as client,
    ):
        service.wait_until_all_serve(versions[1])
        client.recommend(models.USER_IDS[0])
        for number in range(switches):
            version = versions[number % 2]
            labels.promote(volume, version)
            service.wait_until_all_serve(version)
            user_ids = models.USER_IDS[: LATER + 1]
            times = [_microseconds(partial(client.recommend, user_id)) for user_id in user_ids]
            first.append(times[0])
            later += times[1:]
    return {"Recommend by RPC, the first after a switch": first, "Recommend by RPC, later ones": later}


def in_one_process(volume: Path, version: str, repetitions: int) -> dict[str, list[float]]:
    """Queries without gRPC: a user's recommendations, from a snapshot opened anew each time."""
    cold, warm, later = [], [], []
    for number in range(repetitions):
        user_ids = models.USER_IDS[number : number + 2]
        cold.append(_query(open_snapshot(volume, version), user_ids[0]))
        snapshot = open_snapshot(volume, version)
        warm_up(snapshot)
        warm.append(_query(snapshot, user_ids[0]))
        later.append(_query(snapshot, user_ids[1]))
    return {
        "a query, the first without warm-up": cold,
        "a query, the first after warm-up": warm,
        "a query, the next one": later,
    }


def _query(snapshot: Snapshot, user_id: str) -> float:
    return _microseconds(lambda: queries.recommend(snapshot, user_id))


def _microseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1000


if __name__ == "__main__":
    sys.exit(terminal.run(main))
