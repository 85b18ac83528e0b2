"""Memory of 1, 2, 4 and 8 workers that serve one large publication.

    python -m tests.benchmarks.footprint --items 1000000 --users 1000000 --backend faiss

Every worker answers all kinds of call before it is measured. As Linux accounts it: a page that n
processes map counts 1/n in each one's PSS, so the sum over all processes is what they take together; a
page that only one process has is private, dirty when it is not a file's. A page of a file that only one
worker has asked for so far counts as that worker's own and clean: with one worker, all that it maps.
What a further worker costs is the slope of the straight line through the sums. Private dirty memory is
what it costs for good; the sum of PSS also grows a little with the pages of the files that more calls
have asked for.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lightfm_retriever.hosting import terminal
from tests.benchmarks import closed_loop, frame, large
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Large, Recipe
from tests.benchmarks.questions import KINDS, Kind, Questions
from tests.benchmarks.room import Room
from tests.benchmarks.serving import (
    PATIENCE,
    indexes_of,
    serving,
)
from tests.machine import machine_name
from tests.service import Service
from trainer.progress import Reporter

_PARENT = 60e6
_WORKER = 250e6
_CONNECTIONS = 4
# Of each kind on each connection. Some worker without its calls after so many turns is a mistake.
_CALLS_IN_A_TURN = 25
_TURNS = 400


@dataclass(frozen=True)
class Memory:
    """Of one process, in bytes."""

    pss: int
    private_clean: int
    private_dirty: int

    @property
    def private(self) -> int:
        """Clean and dirty."""
        return self.private_clean + self.private_dirty

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Of a process that runs; raises ProcessLookupError or FileNotFoundError when it doesn't."""
        return cls.parse(Path(f"/proc/{pid}/smaps_rollup").read_text("ascii"))

    @classmethod
    def parse(cls, rollup: str) -> Memory:
        """From the text of smaps_rollup; raises ValueError when a figure isn't there."""
        figures: dict[str, int] = {}
        for line in rollup.splitlines():
            name, colon, rest = line.partition(":")
            words = rest.split()
            if colon and len(words) == 2 and words[1] == "kB":
                figures[name] = int(words[0]) * 1024
        wanted = ("Pss", "Private_Clean", "Private_Dirty")
        for name in wanted:
            if name not in figures:
                raise ValueError(f"smaps_rollup doesn't tell {name}")
        return cls(*(figures[name] for name in wanted))


@dataclass(frozen=True)
class Footprint:
    """Of the parent and of each worker."""

    parent: Memory
    workers: list[Memory]

    def total(self, figure: str) -> int:
        """The sum of one of Memory's figures over all processes."""
        return sum(int(getattr(one, figure)) for one in (self.parent, *self.workers))

    def median(self, figure: str) -> float:
        """Of the workers."""
        return float(np.median([getattr(one, figure) for one in self.workers]))

    def most(self, figure: str) -> int:
        """Of the workers."""
        return max(int(getattr(one, figure)) for one in self.workers)


def main() -> int:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8], help="worker processes")
    large.add_arguments(parser, items=[1_000_000])
    parser.add_argument(
        "--calls", type=int, default=500, help="that every worker answers first (default: 500)"
    )
    options = parser.parse_args()

    def besides(recipe: Recipe) -> Room:
        workers = max(options.workers)
        return Room(_PARENT + workers * _WORKER + recipe.items * 600 + recipe.users * 300, 10e6)

    with frame.handled() as failed:
        frame.check_positive(workers=min(options.workers), calls=options.calls)
        reporter = large.reporter_for(quiet=options.json)
        results = [
            (made, measure(made, options.workers, options.calls, reporter))
            for made in large.each(options, besides)
        ]
        _print(results, as_json=options.json)
    return int(bool(failed))


def measure(
    made: Large, workers: Sequence[int], calls: int, reporter: Reporter
) -> dict[int, Footprint]:
    """By number of workers, after so many calls to each of them."""
    questions = Questions(made, queries=1, seed=made.recipe.seed)
    kinds = [questions.kind(name) for name in KINDS]
    results = {}
    title = f"{made.recipe.items:,} items, numbers of workers"
    with reporter.step(title, len(workers)) as advance, tempfile.TemporaryDirectory() as temporary:
        for count in workers:
            with serving(made, Path(temporary), workers=count) as (service, pids):
                warm_up(service, kinds, calls)
                results[count] = Footprint(Memory.of(service.pid), [Memory.of(pid) for pid in pids])
            advance(1)
    return results


def warm_up(service: Service, kinds: Sequence[Kind], calls: int) -> None:
    """Ask all kinds of call, by new connections, until every worker has answered as many as wanted.

    Raises:
        BenchmarkError: some worker is given none.
    """
    end = time.monotonic() + PATIENCE
    for turn in range(_TURNS):
        # The kernel chooses a worker for each connection.
        for _ in range(_CONNECTIONS):
            with contextlib.ExitStack() as stack:
                for kind in kinds:
                    ask = closed_loop.asker(stack, service.target, kind.method)
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
    """Bytes that each further worker adds to the sum of a figure; None for one number of workers."""
    if len(by_workers) < 2:
        return None
    counts = list(by_workers)
    slope, _ = np.polyfit(counts, [one.total(figure) for one in by_workers.values()], 1)
    return float(slope)


def _print(results: Sequence[tuple[Large, dict[int, Footprint]]], *, as_json: bool) -> None:
    if as_json:
        sizes = [
            {
                **asdict(made.recipe),
                "indexes": indexes_of(made),
                "workers": {count: asdict(one) for count, one in by_workers.items()},
                "further_worker_bytes": {
                    figure: further_worker(by_workers, figure) for figure in ("pss", "private_dirty")
                },
            }
            for made, by_workers in results
        ]
        frame.print_json(sizes=sizes)
        return
    for made, by_workers in results:
        size = sum(path.stat().st_size for path in made.directory.iterdir())
        title = (
            f"{made.recipe.items:,} items, {made.recipe.users:,} users; files of {size / 1e6:,.0f} MB; "
            f"{machine_name()}; MB"
        )
        table = frame.table(
            "", "workers", "PSS, all", "of the parent", "of a worker", "most", "private, of a worker",
            "clean", "dirty", "most", "private, parent", left=0,
        )  # fmt: skip
        for count, one in by_workers.items():
            figures = (
                one.total("pss"), one.parent.pss, one.median("pss"), one.most("pss"),
                one.median("private"), one.median("private_clean"), one.median("private_dirty"),
                one.most("private_dirty"), one.parent.private,
            )  # fmt: skip
            table.add_row(str(count), *(f"{figure / 1e6:,.1f}" for figure in figures))
        pss, dirty = (further_worker(by_workers, figure) for figure in ("pss", "private_dirty"))
        further = (
            ""
            if pss is None or dirty is None
            else (
                f"each further worker adds {pss / 1e6:,.1f} MB of PSS in all, {dirty / 1e6:,.1f} MB of "
                "private dirty memory"
            )
        )
        frame.show(title, *indexes_of(made), table, further)


if __name__ == "__main__":
    sys.exit(terminal.run(main))
