"""What calls cost and find at each size of catalogue, beside a bare echo server.

    python -m tests.benchmarks.serving --items 1682 100000 1000000 --users 1000000 --backend faiss

For each size a publication is made (or taken from --folder, see tests/benchmarks/large.py) and served
by real workers. Each kind of call is asked in three ways: by one caller and by 16 who each ask again
when they are answered (a closed loop: what the worker can do at most), and by a schedule at half of
what the 16 got (an open loop), whose latencies count from when a call was due. The same is asked of an
echo server, one process that answers the same bytes to every call, in alternating rounds of the same
run: a machine that gets slower does so for both, so the ratios of the rounds are what counts. Callers
run on the same cores as the servers, so the servers' own CPU time a call is measured too. Recall@10 is
that of the replies, against exact answers by numpy over the same vectors, among the items that the
filter lets through and the user hasn't seen.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication import layout, reader
from tests.benchmarks import closed_loop, frame, indexes, large, open_loop
from tests.benchmarks.closed_loop import Calls
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Large, Recipe
from tests.benchmarks.open_loop import Plan, Scheduled
from tests.benchmarks.questions import KINDS, Kind, Questions
from tests.benchmarks.revisions import Ratio
from tests.benchmarks.room import Room
from tests.machine import machine_name
from tests.service import Service
from trainer.progress import Advance, Reporter

CALLERS = (1, 16)
# Of what the callers got at most.
LOAD = 0.5
# Opening, verifying and warming up a large version takes its time.
PATIENCE = 600
_WARM_UP_SECONDS = 1.0
_ECHO_THREADS = 4
# Of exact answers, and of the retriever itself.
_BESIDES = 1.5e9
_BESIDES_AN_ITEM = 800
# A program can't be given more in one argument.
_MOST_REPLY = 60_000

# An address, and the ids of the processes that answer there.
Server = tuple[str, list[int]]


@dataclass(frozen=True)
class Ways:
    """What is asked of which server, and for how long; see the flags of these names."""

    kinds: Sequence[str]
    workers: int
    rounds: int
    seconds: float
    queries: int


@dataclass(frozen=True)
class Figures:
    """Of one server's calls in all rounds."""

    calls_per_second: float
    cpu_microseconds: float
    p50_milliseconds: float
    p90_milliseconds: float
    p99_milliseconds: float
    p999_milliseconds: float

    @classmethod
    def of(cls, rounds: Sequence[Calls] | Sequence[Scheduled]) -> Figures:
        """Medians of the rounds' rates; percentiles of all calls."""
        percentiles = np.percentile(np.concatenate([one.seconds for one in rounds]), [50, 90, 99, 99.9])
        return cls(
            float(np.median([one.calls_per_second for one in rounds])),
            float(np.median([one.cpu_microseconds for one in rounds])),
            *(float(value) * 1000 for value in percentiles),
        )


@dataclass(frozen=True)
class Compared:
    """The retriever and the echo server, asked alike; ratios are of the retriever to the echo server.

    Attributes:
        how: the way they were asked.
        retriever, echo: figures of each.
        throughput, cpu, p99: medians of the rounds' ratios.
        late_milliseconds: in an open loop, by how much 99 % of the retriever's calls were asked late at
            most: what the callers themselves may have added.
    """

    how: str
    retriever: Figures
    echo: Figures
    throughput: Ratio
    cpu: Ratio
    p99: Ratio
    late_milliseconds: float = 0.0

    @classmethod
    def of(
        cls, how: str, pairs: Sequence[tuple[Calls, Calls]] | Sequence[tuple[Scheduled, Scheduled]]
    ) -> Compared:
        """From rounds of the retriever and of the echo server, at least one."""
        own, echo = ([pair[side] for pair in pairs] for side in (0, 1))
        late = [one.late for one in own if isinstance(one, Scheduled)]
        return cls(
            how,
            Figures.of(own),  # type: ignore[arg-type]
            Figures.of(echo),  # type: ignore[arg-type]
            Ratio.of(*([one.calls_per_second for one in side] for side in (own, echo))),
            # A round can be shorter than the clock of CPU time tells.
            Ratio.of(*([max(one.cpu_microseconds, 1e-3) for one in side] for side in (own, echo))),
            Ratio.of(
                *([float(np.percentile(one.seconds, 99)) for one in side] for side in (own, echo))
            ),
            float(np.percentile(np.concatenate(late), 99)) * 1000 if late else 0.0,
        )


@dataclass(frozen=True)
class Result:
    """One kind of call to one publication.

    Attributes:
        kind: what was asked.
        answers: lists of results in a call.
        recall_at_10: of the replies.
        reply_bytes: of a typical reply, and of every one of the echo server's.
        closed: by number of callers.
        open: by a schedule, at LOAD of what the most callers got.
    """

    kind: str
    answers: int
    recall_at_10: float
    reply_bytes: int
    closed: dict[int, Compared]
    open: Compared


def main() -> int:
    parser = frame.parser(__spec__.name, __doc__)
    large.add_arguments(parser, items=[1682, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=1, help="processes of each server (default: 1)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="default: all")
    parser.add_argument("--rounds", type=int, default=3, help="of each way to ask (default: 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round (default: 3)")
    parser.add_argument(
        "--queries", type=int, default=300, help="by which recall is measured (default: 300)"
    )
    options = parser.parse_args()
    ways = Ways(options.kinds, options.workers, options.rounds, options.seconds, options.queries)
    with frame.handled() as failed:
        frame.check_positive(**{name: value for name, value in asdict(ways).items() if name != "kinds"})
        reporter = large.reporter_for(quiet=options.json)
        results = [
            (made, indexes_of(made), measure(made, ways, reporter))
            for made in large.each(options, besides)
        ]
        _print(results, ways, as_json=options.json)
    return int(bool(failed))


def besides(recipe: Recipe) -> Room:
    """What measuring takes beside the publication."""
    return Room(_BESIDES + recipe.items * _BESIDES_AN_ITEM, 10e6)


def indexes_of(made: Large) -> list[str]:
    """A line for each index: its backend, settings, and recall when it was tuned."""
    facts = reader.read_manifest(made.volume, made.version)
    return [
        f"index {name!r}: {facts.indexes[name].backend} {indexes.settings(facts.indexes[name])} "
        f"(tuned to {facts.indexes[name].recall_at_10:.4f})"
        for name in (layout.RECOMMEND, layout.SIMILAR)
    ]


def measure(made: Large, ways: Ways, reporter: Reporter) -> list[Result]:
    """Ask the workers, and as many echo servers, in all ways."""
    questions = Questions(made, queries=ways.queries, seed=made.recipe.seed)
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        with serving(made, place, workers=ways.workers) as (service, pids):
            for name in ways.kinds:
                kind = questions.kind(name)
                title = f"{made.recipe.items:,} items, {name}, rounds"
                with reporter.step(title, ways.rounds * (len(CALLERS) + 1)) as advance:
                    replies = _replies(service, kind)
                    reply = sorted(replies, key=len)[len(replies) // 2]
                    requests = closed_loop.write_requests(place / name, kind.requests)
                    with echoing(reply, ways.workers) as echo:
                        servers = [(service.target, pids), echo]
                        closed, scheduled = _compare(servers, kind.method, requests, ways, advance)
                results.append(
                    Result(
                        name,
                        kind.answers,
                        questions.found(kind, replies),
                        len(reply),
                        closed,
                        scheduled,
                    )
                )
    return results


@contextlib.contextmanager
def serving(made: Large, place: Path, *, workers: int) -> Iterator[tuple[Service, list[int]]]:
    """A retriever all of whose workers serve, and their process ids."""
    with Service(made.volume, place / "log", workers=workers) as service:
        status = service.wait_until(
            lambda status: (
                len(status.workers) == workers
                and all(one.version == made.version for one in status.workers)
            ),
            seconds=PATIENCE,
        )
        yield service, [one.pid for one in status.workers]


@contextlib.contextmanager
def echoing(reply: bytes, workers: int) -> Iterator[Server]:
    """Processes on one port that answer the same to every call."""
    if len(reply) > _MOST_REPLY:
        raise BenchmarkError(f"a reply has {len(reply)} bytes, more than the echo server can be given")
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
                raise RuntimeError("the echo server didn't start, as it said above")
        yield target, [server.pid for server in servers]


def _replies(service: Service, kind: Kind) -> list[bytes]:
    with contextlib.ExitStack() as stack:
        ask = closed_loop.asker(stack, service.target, kind.method)
        return [ask(request, timeout=60) for request in kind.requests[: kind.measured]]


def _compare(
    servers: Sequence[Server],
    method: str,
    requests: Path,
    ways: Ways,
    advance: Advance,
) -> tuple[dict[int, Compared], Compared]:
    def ask(server: Server, callers: int, seconds: float) -> Calls:
        (calls,) = closed_loop.ask(
            {server[0]: server[1]},
            seconds=seconds,
            connections=callers,
            method=method,
            requests=requests,
        )
        return calls

    for server in servers:
        ask(server, CALLERS[-1], _WARM_UP_SECONDS)
    closed = {}
    for callers in CALLERS:
        pairs = []
        for number in range(ways.rounds):
            order = -1 if number % 2 else 1
            own, echo = [ask(server, callers, ways.seconds) for server in servers[::order]][::order]
            pairs.append((own, echo))
            advance(1)
        closed[callers] = Compared.of(f"{callers} at a time", pairs)
    rate = LOAD * closed[CALLERS[-1]].retriever.calls_per_second
    scheduled = []
    for number in range(ways.rounds):
        order = -1 if number % 2 else 1
        own_calls, echo_calls = [
            open_loop.ask(
                Plan(
                    target=target,
                    rate=rate,
                    seconds=ways.seconds,
                    method=method,
                    requests=str(requests),
                    seed=number,
                    connections=CALLERS[-1],
                ),
                pids,
            )
            for target, pids in servers[::order]
        ][::order]
        scheduled.append((own_calls, echo_calls))
        advance(1)
    return closed, Compared.of(f"{rate:,.0f}/s", scheduled)


def _print(
    results: Sequence[tuple[Large, list[str], list[Result]]], ways: Ways, *, as_json: bool
) -> None:
    if as_json:
        sizes = [
            {**asdict(made.recipe), "indexes": described, "kinds": [asdict(one) for one in measured]}
            for made, described, measured in results
        ]
        frame.print_json(**asdict(ways), sizes=sizes)
        return
    for made, described, measured in results:
        title = (
            f"{made.recipe.items:,} items, {made.recipe.users:,} users; workers: {ways.workers}; "
            f"{machine_name()}; {ways.rounds} rounds of {ways.seconds:g} s; ratios are medians of the "
            "rounds, with their range"
        )
        frame.show(title, *described, _closed_table(measured), "", _open_table(measured), "")


def _closed_table(results: Sequence[Result]) -> Table:
    table = frame.table(
        "Asked again when answered", "kind", "recall@10", "callers", "calls/s", "answers/s",
        "a CPU second", "echo calls/s", "throughput/echo", "CPU µs a call", "echo", "CPU/echo",
        "p50 ms", "p99",
    )  # fmt: skip
    for result in results:
        for callers, compared in result.closed.items():
            own, echo = compared.retriever, compared.echo
            table.add_row(
                result.kind,
                f"{result.recall_at_10:.4f}",
                str(callers),
                f"{own.calls_per_second:,.0f}",
                f"{own.calls_per_second * result.answers:,.0f}",
                f"{result.answers * 1e6 / max(own.cpu_microseconds, 1e-3):,.0f}",
                f"{echo.calls_per_second:,.0f}",
                str(compared.throughput),
                f"{own.cpu_microseconds:,.0f}",
                f"{echo.cpu_microseconds:,.0f}",
                str(compared.cpu),
                f"{own.p50_milliseconds:.2f}",
                f"{own.p99_milliseconds:.2f}",
            )
    return table


def _open_table(results: Sequence[Result]) -> Table:
    table = frame.table(
        f"By a schedule, at {LOAD:.0%} of what {CALLERS[-1]} callers got; ms from when a call was due",
        "kind", "load", "p50", "p90", "p99", "p99.9", "echo p50", "p99", "p99/echo", "CPU µs a call",
        "CPU/echo", "asked late, p99",
    )  # fmt: skip
    for result in results:
        own, echo = result.open.retriever, result.open.echo
        table.add_row(
            result.kind,
            result.open.how,
            f"{own.p50_milliseconds:.2f}",
            f"{own.p90_milliseconds:.2f}",
            f"{own.p99_milliseconds:.2f}",
            f"{own.p999_milliseconds:.2f}",
            f"{echo.p50_milliseconds:.2f}",
            f"{echo.p99_milliseconds:.2f}",
            str(result.open.p99),
            f"{own.cpu_microseconds:,.0f}",
            str(result.open.cpu),
            f"{result.open.late_milliseconds:.2f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(terminal.run(main))
