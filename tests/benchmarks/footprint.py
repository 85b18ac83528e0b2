"""Measure the memory of 1, 2, 4 and 8 workers that serve one large publication.

    python -m tests.benchmarks.footprint --items 1000000 --users 1000000 --backend faiss

Each worker answers all kinds of call before the measurement.

Linux counts memory as follows. A page that n processes map counts 1/n in the PSS of each, so the sum of
PSS is the memory of all processes together. A page of only one process is private; it is dirty if it
isn't a page of a file. If only one worker has used a page of a file so far, the page is private and
clean. With one worker, that applies to all mapped pages.

The cost of another worker is the slope of a straight line through the sums. Private dirty memory is the
permanent cost. The sum of PSS also grows a little when more calls use more pages of the files.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import starmap
from pathlib import Path

import numpy as np

from tests.benchmarks import asking, frame, large, room
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Large, Recipe
from tests.benchmarks.questions import KINDS, Kind, Questions
from tests.benchmarks.room import Room
from tests.benchmarks.serving import PATIENCE, serving
from tests.machine import machine_name
from tests.service import Service

_PARENT = 60e6
_WORKER = 250e6
_CONNECTIONS = 4
# Calls of each kind on each connection. It is an error if a worker lacks calls after so many turns.
_CALLS_IN_A_TURN = 25
_TURNS = 400


@dataclass(frozen=True)
class Memory:
    """Memory of one process, in bytes."""

    pss: int
    private_clean: int
    private_dirty: int

    @property
    def private(self) -> int:
        """Private memory, clean and dirty."""
        return self.private_clean + self.private_dirty

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Read the memory of a running process. Raises OSError if it has ended."""
        figures = room.of_process(pid, "smaps_rollup")
        return cls(*(figures[name] for name in ("Pss", "Private_Clean", "Private_Dirty")))


@dataclass(frozen=True)
class Footprint:
    """Memory of the parent and of each worker."""

    parent: Memory
    workers: list[Memory]

    def total(self, figure: str) -> int:
        """Return the sum of a figure of Memory over all processes."""
        return sum(int(getattr(one, figure)) for one in (self.parent, *self.workers))

    def median(self, figure: str) -> float:
        """Of the workers."""
        return float(np.median([getattr(one, figure) for one in self.workers]))

    def most(self, figure: str) -> int:
        """Of the workers."""
        return max(int(getattr(one, figure)) for one in self.workers)


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument(
        "--workers", type=frame.positive, nargs="+", default=[1, 2, 4, 8], help="worker processes"
    )
    large.add_arguments(parser, items=[1_000_000])
    told = "that every worker answers first (default: 500)"
    parser.add_argument("--calls", type=frame.positive, default=500, help=told)
    options = parser.parse_args()

    def besides(recipe: Recipe) -> Room:
        workers = max(options.workers)
        return Room(_PARENT + workers * _WORKER + recipe.items * 600 + recipe.users * 300, 10e6)

    sizes, parts = [], []
    for made in large.each(options, besides):
        measured = measure(made, options)
        further = {figure: further_worker(measured, figure) for figure in ("pss", "private_dirty")}
        described = {count: asdict(one) for count, one in measured.items()}
        sizes.append({**made.described, "workers": described, "further_worker_bytes": further})
        title = f"{made.title}; files of {made.bytes / 1e6:,.0f} MB; {machine_name()}; MB"
        parts += [title, *made.indexes, frame.table("", starmap(_row, measured.items()), left=0)]
        if len(measured) > 1:
            pss, dirty = (f"{added / 1e6:,.1f} MB" for added in further.values())
            parts.append(
                f"each further worker adds {pss} of PSS in all, {dirty} of private dirty memory"
            )
    frame.report(options, *parts, sizes=sizes)


def measure(made: Large, options: argparse.Namespace) -> dict[int, Footprint]:
    """Measure each number of workers, after the given number of calls to each worker."""
    questions = Questions(made, queries=1, seed=made.recipe.seed)
    kinds = [questions.kind(name) for name in KINDS]
    results = {}
    title = f"{made.recipe.items:,} items, numbers of workers"
    with (
        frame.reporter(options).step(title, len(options.workers)) as advance,
        tempfile.TemporaryDirectory() as temporary,
    ):
        for count in options.workers:
            with serving(made, Path(temporary), workers=count) as (service, server):
                warm_up(service, kinds, options.calls)
                workers = [Memory.of(pid) for pid in server.pids]
                results[count] = Footprint(Memory.of(service.pid), workers)
            advance(1)
    return results


def warm_up(service: Service, kinds: Sequence[Kind], calls: int) -> None:
    """Make all kinds of call over new connections, until each worker has answered `calls` of them.

    Raises:
        BenchmarkError: a worker gets too few calls.
    """
    end = time.monotonic() + PATIENCE
    for turn in range(_TURNS):
        # The kernel assigns each connection to a worker.
        for _ in range(_CONNECTIONS):
            with contextlib.ExitStack() as stack:
                for kind in kinds:
                    ask = asking.asker(stack, service.target, kind.method)
                    first = turn * _CALLS_IN_A_TURN
                    for number in range(first, first + _CALLS_IN_A_TURN):
                        ask(kind.requests[number % len(kind.requests)], timeout=60)
        status = service.status()
        if min(worker.calls for worker in status.workers) >= calls:
            return
        if time.monotonic() > end:
            break
    answered = sorted(worker.calls for worker in status.workers)
    raise BenchmarkError(f"workers answered {answered} calls, but each should have answered {calls}")


def further_worker(by_workers: dict[int, Footprint], figure: str) -> float | None:
    """Return the bytes per additional worker in the sum of a figure; None for one number of workers."""
    if len(by_workers) < 2:
        return None
    counts = list(by_workers)
    slope, _ = np.polyfit(counts, [one.total(figure) for one in by_workers.values()], 1)
    return float(slope)


def _row(count: int, one: Footprint) -> dict[str, str]:
    figures = {
        "PSS, all": one.total("pss"),
        "of the parent": one.parent.pss,
        "of a worker": one.median("pss"),
        "most": one.most("pss"),
        "private, of a worker": one.median("private"),
        "clean": one.median("private_clean"),
        "dirty": one.median("private_dirty"),
        "most dirty": one.most("private_dirty"),
        "private, parent": one.parent.private,
    }
    shown = {column: f"{figure / 1e6:,.1f}" for column, figure in figures.items()}
    return {"workers": str(count), **shown}


if __name__ == "__main__":
    frame.run(main)
