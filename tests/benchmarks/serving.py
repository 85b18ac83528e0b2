"""Measure cost and recall of calls by size of the catalogue, next to a minimal echo server.

    python -m tests.benchmarks.serving --items 1682 100000 1000000 --users 1000000 --backend faiss

For each size, it creates a publication (or takes it from --folder, see tests/benchmarks/large.py), and
real workers serve it. Each kind of call is measured in three ways:

- one caller, and 16 callers, in a closed loop: each calls again after the answer. 16 callers show the
  maximum rate of a worker.
- an open loop at half of that maximum rate. Latencies count from the time when a call was due.

An echo server, one process that answers every call with the same bytes, gets the same calls, in
alternating rounds of the same run. If the machine gets slower, both get slower, so look at the ratios
of the rounds. Callers run on the same cores as the servers, so the servers' CPU time per call is
measured, too. Recall@10 compares the replies with exact answers by NumPy over the same vectors, among
the items that match the filter and that the user hasn't seen.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from msgspec.structs import replace

from tests.benchmarks import asking, frame, large
from tests.benchmarks.asking import Calls, Plan, Server
from tests.benchmarks.figures import Figures, Ratio, percentiles
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Large, Recipe
from tests.benchmarks.questions import KINDS, Kind, Questions
from tests.benchmarks.room import Room
from tests.machine import machine_name
from tests.service import Service
from trainer.progress import Advance

CALLERS = (1, 16)
# Rate of the open loop, as a share of the maximum rate.
LOAD = 0.5
# Opening, verifying and warming up a large version takes long.
PATIENCE = 600
_WARM_UP_SECONDS = 1.0
_ECHO_THREADS = 4
# Memory for exact answers, and for the retriever itself.
_BESIDES = 1.5e9
_BESIDES_AN_ITEM = 800
# One argument of a program can't be larger.
_MOST_REPLY = 60_000


@dataclass(frozen=True)
class Compared:
    """Retriever and echo server with the same calls. Ratios are of the retriever to the echo server."""

    how: str  # kind of loop
    # Figures of each.
    retriever: Figures
    echo: Figures
    # Medians of the rounds' ratios.
    throughput: Ratio
    cpu: Ratio
    p99: Ratio
    # In an open loop, the 99th percentile of the delay of calls to the retriever before they were made:
    # the callers may have added this much.
    late_milliseconds: float = 0.0

    @classmethod
    def of(cls, how: str, own: Sequence[Calls], echo: Sequence[Calls]) -> Compared:
        """Compare rounds of the retriever and of the echo server, at least one."""
        sides = (own, echo)
        return cls(
            how,
            Figures.of(*own),
            Figures.of(*echo),
            Ratio.of(*([one.calls_per_second for one in side] for side in sides)),
            # A round can be shorter than a tick of the CPU clock.
            Ratio.of(*([max(one.cpu_microseconds, 1e-3) for one in side] for side in sides)),
            Ratio.of(*([percentiles([one.seconds], 99)[0] for one in side] for side in sides)),
            *percentiles([one.late for one in own], 99),
        )


@dataclass(frozen=True)
class Result:
    """The results of one kind of call to one publication."""

    kind: str  # kind of call
    answers: int  # lists of results in a call
    recall_at_10: float  # recall@10 of the replies
    reply_bytes: int  # size of a typical reply, and of the echo server's replies
    closed: dict[int, Compared]  # by number of callers
    open: Compared  # by a schedule, at LOAD of the maximum rate


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    large.add_arguments(parser, items=[1682, 100_000, 1_000_000])
    for name, default, of in (
        ("workers", 1, "processes of each server"),
        ("rounds", 3, "rounds of each loop"),
        ("queries", 300, "queries for recall"),
    ):
        told = f"{of} (default: {default})"
        parser.add_argument(f"--{name}", type=frame.positive, default=default, help=told)
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, help="kinds of call (default: all)"
    )
    parser.add_argument(
        "--seconds", type=frame.above_0, default=3.0, help="seconds of each round (default: 3)"
    )
    options = parser.parse_args()
    sizes, parts = [], []
    for made in large.each(options, besides):
        results = measure(made, options)
        sizes.append({**made.described, "kinds": [asdict(one) for one in results]})
        title = (
            f"{made.title}; workers: {options.workers}; {machine_name()}; {options.rounds} rounds of "
            f"{options.seconds:g} s; ratios are medians of the rounds, with their range"
        )
        closed = [row for result in results for row in _closed_rows(result)]
        scheduled = f"Open loop, at {LOAD:.0%} of the rate of {CALLERS[-1]} callers"
        parts += [title, *made.indexes, frame.table("Closed loop", closed), ""]
        of_due = f"{scheduled}; ms from when a call was due"
        parts += [frame.table(of_due, map(_open_row, results)), ""]
    asked = {
        name: getattr(options, name) for name in ("kinds", "workers", "rounds", "seconds", "queries")
    }
    frame.report(options, *parts, **asked, sizes=sizes)


def besides(recipe: Recipe) -> Room:
    """Return the need of the measurement in addition to the publication."""
    return Room(_BESIDES + recipe.items * _BESIDES_AN_ITEM, 10e6)


def measure(made: Large, options: argparse.Namespace) -> list[Result]:
    """Measure the workers, and as many echo servers, with all kinds of call and loops."""
    questions = Questions(made, queries=options.queries, seed=made.recipe.seed)
    results = []
    with (
        tempfile.TemporaryDirectory() as temporary,
        serving(made, Path(temporary), workers=options.workers) as (_, server),
    ):
        for name in options.kinds:
            kind = questions.kind(name)
            title = f"{made.recipe.items:,} items, {name}, rounds"
            steps = options.rounds * (len(CALLERS) + 1)
            with frame.reporter(options).step(title, steps) as advance:
                replies = _replies(server, kind)
                reply = sorted(replies, key=len)[len(replies) // 2]
                requests = asking.write_requests(Path(temporary) / name, kind.requests)
                plan = Plan(method=kind.method, seconds=options.seconds, requests=requests)
                with echoing(reply, options.workers) as echo:
                    closed, scheduled = _compare([server, echo], plan, options.rounds, advance)
            found = questions.found(kind, replies)
            results.append(Result(name, kind.answers, found, len(reply), closed, scheduled))
    return results


@contextlib.contextmanager
def serving(made: Large, place: Path, *, workers: int) -> Iterator[tuple[Service, Server]]:
    """Run a retriever until all workers serve. Yields the service, and its address and processes."""
    with Service(made.volume, place / "log", workers=workers) as service:
        status = service.wait_until(
            lambda status: (
                len(status.workers) == workers
                and all(one.version == made.version for one in status.workers)
            ),
            seconds=PATIENCE,
        )
        yield service, Server(service.target, [one.pid for one in status.workers])


@contextlib.contextmanager
def echoing(reply: bytes, workers: int) -> Iterator[Server]:
    """Run processes on one port that answer every call with the same bytes."""
    if len(reply) > _MOST_REPLY:
        raise BenchmarkError(
            f"a reply has {len(reply)} bytes, but the echo server takes at most {_MOST_REPLY}"
        )
    with socket.socket() as held, contextlib.ExitStack() as stack:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{held.getsockname()[1]}"
        command = [sys.executable, "-m", "tests.benchmarks.echo_server", target, reply.hex()]
        servers = []
        for _ in range(workers):
            server = stack.enter_context(
                subprocess.Popen(
                    [*command, str(_ECHO_THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            stack.callback(server.kill)
            servers.append(server)
        for server in servers:
            assert server.stdout is not None
            if not server.stdout.readline():
                raise RuntimeError("the echo server didn't start; see its message above")
        yield Server(target, [server.pid for server in servers])


def _replies(server: Server, kind: Kind) -> list[bytes]:
    with contextlib.ExitStack() as stack:
        ask = asking.asker(stack, server.target, kind.method)
        return [ask(request, timeout=60) for request in kind.requests[: kind.measured]]


def _compare(
    servers: Sequence[Server], plan: Plan, rounds: int, advance: Advance
) -> tuple[dict[int, Compared], Compared]:
    asking.ask_each(servers, replace(plan, seconds=_WARM_UP_SECONDS))

    def compared(how: str, **changes: float) -> Compared:
        changed = replace(plan, **changes)
        return Compared.of(
            how,
            *frame.alternating(
                rounds,
                servers,
                lambda ordered, number: asking.ask_each(ordered, replace(changed, seed=number)),
                advance,
            ),
        )

    closed = {callers: compared(f"{callers} at a time", callers=callers) for callers in CALLERS}
    rate = LOAD * closed[CALLERS[-1]].retriever.calls_per_second
    return closed, compared(f"{rate:,.0f}/s", rate=rate)


def _closed_rows(result: Result) -> Iterator[dict[str, str]]:
    for callers, compared in result.closed.items():
        own, echo = compared.retriever, compared.echo
        yield {
            "kind": result.kind,
            "recall@10": f"{result.recall_at_10:.4f}",
            "callers": str(callers),
            "calls/s": f"{own.calls_per_second:,.0f}",
            "answers/s": f"{own.calls_per_second * result.answers:,.0f}",
            "a CPU second": f"{result.answers * 1e6 / max(own.cpu_microseconds, 1e-3):,.0f}",
            "echo calls/s": f"{echo.calls_per_second:,.0f}",
            "throughput/echo": str(compared.throughput),
            "CPU µs a call": f"{own.cpu_microseconds:,.0f}",
            "echo": f"{echo.cpu_microseconds:,.0f}",
            "CPU/echo": str(compared.cpu),
            "p50 ms": f"{own.p50_milliseconds:.2f}",
            "p99": f"{own.p99_milliseconds:.2f}",
        }


def _open_row(result: Result) -> dict[str, str]:
    own, echo = result.open.retriever, result.open.echo
    return {
        "kind": result.kind,
        "load": result.open.how,
        "p50": f"{own.p50_milliseconds:.2f}",
        "p90": f"{own.p90_milliseconds:.2f}",
        "p99": f"{own.p99_milliseconds:.2f}",
        "p99.9": f"{own.p999_milliseconds:.2f}",
        "echo p50": f"{echo.p50_milliseconds:.2f}",
        "echo p99": f"{echo.p99_milliseconds:.2f}",
        "p99/echo": str(result.open.p99),
        "CPU µs a call": f"{own.cpu_microseconds:,.0f}",
        "CPU/echo": str(result.open.cpu),
        "asked late, p99": f"{result.open.late_milliseconds:.2f}",
    }


if __name__ == "__main__":
    frame.run(main)
