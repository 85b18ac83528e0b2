"""Recommendations a second in batches of 64, beside unary calls to the same worker.

    python -m tests.benchmarks.batches --items 1682

One worker is asked in turn by callers with one recommendation a call and with 64 a call, in rounds, so
that a machine that gets slower does so for both. The callers run on the same cores as the worker, so
its own CPU time a recommendation is measured too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication import labels
from tests.benchmarks.closed_loop import BATCH, Round, measure
from tests.load import models
from tests.machine import machine_name
from tests.service import Service

CALLERS = {"Recommend": 16, "BatchRecommend": 2}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.batches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--items", type=int, nargs="+", default=[1682, 100_000], help="items of the catalogue"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round (default: 2)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    results = {items: compare(items, options.rounds, options.seconds) for items in options.items}
    _print(results, as_json=options.json)
    return 0


def compare(items: int, rounds: int, seconds: float) -> dict[str, list[Round]]:
    """Rounds of each method, of recommendations rather than calls."""
    results: dict[str, list[Round]] = {method: [] for method in CALLERS}
    with tempfile.TemporaryDirectory() as temporary:
        volume = Path(temporary) / "volume"
        size = models.Size(items=items, components=64, every=False)
        labels.promote(volume, models.publish(volume, "a", 1, size).version)
        with Service(volume, Path(temporary) / "log", workers=1) as service:
            status = service.wait_until(lambda status: any(one.version for one in status.workers))
            pids = [one.pid for one in status.workers]
            for _ in range(rounds):
                for method, callers in CALLERS.items():
                    (of_calls,) = measure(
                        {service.target: pids}, seconds=seconds, connections=callers, method=method
                    )
                    each = BATCH if method == "BatchRecommend" else 1
                    results[method].append(
                        Round(
                            of_calls.calls_per_second * each,
                            of_calls.cpu_microseconds / each,
                            of_calls.p50_milliseconds,
                            of_calls.p99_milliseconds,
                        )
                    )
    return results


def _print(results: dict[int, dict[str, list[Round]]], *, as_json: bool) -> None:
    machine = machine_name()
    if as_json:
        made = {
            items: {method: [asdict(one) for one in rounds] for method, rounds in methods.items()}
            for items, methods in results.items()
        }
        print(json.dumps({"machine": machine, "batch": BATCH, "items": made}, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.title = f"{machine}; one worker, batches of {BATCH}; medians of rounds"
    for column in (
        "items", "recommendations/s: unary", "batches", "ratio", "(lowest..highest)",
        "CPU µs each: unary", "batches", "ratio", "p50 ms of a batch", "p99",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for items, methods in results.items():
        unary, batches = methods["Recommend"], methods["BatchRecommend"]
        ratios = [
            many.calls_per_second / one.calls_per_second
            for one, many in zip(unary, batches, strict=True)
        ]
        cpu = [
            one.cpu_microseconds / many.cpu_microseconds
            for one, many in zip(unary, batches, strict=True)
        ]
        table.add_row(
            f"{items:,}",
            f"{np.median([one.calls_per_second for one in unary]):,.0f}",
            f"{np.median([one.calls_per_second for one in batches]):,.0f}",
            f"{np.median(ratios):.1f}",
            f"{min(ratios):.1f}..{max(ratios):.1f}",
            f"{np.median([one.cpu_microseconds for one in unary]):.0f}",
            f"{np.median([one.cpu_microseconds for one in batches]):.0f}",
            f"{np.median(cpu):.1f}",
            f"{np.median([one.p50_milliseconds for one in batches]):.2f}",
            f"{np.median([one.p99_milliseconds for one in batches]):.2f}",
        )
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(terminal.run(main))
