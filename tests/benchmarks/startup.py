"""From the command to a first answer, a worker's start, and a reload; by a cold and a warm page cache.

    python -m tests.benchmarks.startup --items 1000000 --users 1000000 --backend faiss

- start: the command is given, until a Recommend is answered; the parent verifies every byte meanwhile;
- worker: one is killed, and its successor is started, until it serves; it is warm in any case, since
  the other workers have the version's files mapped;
- reload: the label moves to another version of the same, as files of its own, and the parent is told
  to look (SIGHUP), until all workers serve it. Calls come by a schedule meanwhile, at half of what the
  service can do at most; their p99 while it reloads is compared with that of those before.

Cold means that none of the version's files is in the page cache. Without --drop-caches the system is
asked to forget these files alone (posix_fadvise), so that Python and its libraries stay; with it, which
only root may do, all that it can (/proc/sys/vm/drop_caches), at the cost of everyone on the machine.
How much of the files was in the cache all the same is told.
"""

import contextlib
import ctypes
import mmap
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import msgspec
import numpy as np
from numpy.typing import NDArray
from recsys.retriever.v1 import retriever_service_pb2 as pb
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication import labels, layout, reader
from lightfm_retriever.publication.removal import delete_version
from tests.benchmarks import closed_loop, frame, large, open_loop
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Large, Recipe
from tests.benchmarks.open_loop import Plan, Scheduled
from tests.benchmarks.questions import Questions
from tests.benchmarks.room import Room
from tests.benchmarks.serving import (
    LOAD,
    PATIENCE,
    indexes_of,
    serving,
)
from tests.machine import machine_name
from tests.service import Service
from trainer.progress import Advance, Reporter

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
CACHES = ("cold", "warm")

# Between two tries to get a first answer.
_AGAIN_SECONDS = 0.005
_CALLERS = 16
# How long calls come before a reload, and how long a reload may take, relative to the slowest start.
_BEFORE = 4.0
_LONGEST = 3.0
_SATURATION_SECONDS = 2.0
_BESIDES = 1e9
_BESIDES_AN_ITEM = 800
_BESIDES_A_USER = 300


@dataclass(frozen=True)
class Reload:
    """One change of versions.

    Attributes:
        seconds: from the label's move until all workers serve the version, by looking at the status.
        own_seconds: what the service says that it took.
        spread_seconds: between the first and the last worker's taking over, as it says.
        calls: that were asked or answered meanwhile.
        p99_milliseconds: of these.
        steady_p99_milliseconds: of those before.
        slowest_milliseconds: of all.
        cached: share of the version's files that was in the page cache.
    """

    seconds: float
    own_seconds: float
    spread_seconds: float
    calls: int
    p99_milliseconds: float
    steady_p99_milliseconds: float
    slowest_milliseconds: float
    cached: float

    @property
    def ratio(self) -> float:
        """Of the p99 during it to the steady one."""
        return self.p99_milliseconds / self.steady_p99_milliseconds


@dataclass(frozen=True)
class Start:
    """From the command to a first answer.

    Attributes:
        listening_seconds: until the parent said where it listens.
        seconds: until a Recommend was answered.
        cached: share of the version's files that was in the page cache.
    """

    listening_seconds: float
    seconds: float
    cached: float


@dataclass(frozen=True)
class Result:
    """Of one publication; by state of the page cache, a figure for each round."""

    starts: dict[str, list[Start]]
    worker_seconds: list[float]
    rate: float
    reloads: dict[str, list[Reload]]


def main() -> int:
    parser = frame.parser(__spec__.name, __doc__)
    large.add_arguments(parser, items=[1_000_000])
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default: 3)")
    parser.add_argument(
        "--rate", type=float, help=f"calls/s during a reload (default: {LOAD:.0%}% of what it can do)"
    )
    parser.add_argument(
        "--drop-caches", action="store_true", help="empty the whole page cache; for root only"
    )
    options = parser.parse_args()
    with frame.handled() as failed:
        frame.check_positive(workers=options.workers, rounds=options.rounds)
        if options.rate is not None:
            frame.check_positive(rate=options.rate)
        if options.drop_caches and not os.access(DROP_CACHES, os.W_OK):
            raise BenchmarkError(f"--drop-caches needs to write {DROP_CACHES}, which only root may")
        chill = drop_all if options.drop_caches else forget
        reporter = large.reporter_for(quiet=options.json)
        results = []
        for made in large.each(options, besides):
            with another(made) as other:
                measured = measure(
                    made, other, options.workers, options.rounds, options.rate, chill, reporter
                )
            results.append((made, measured))
        how = "drop_caches" if options.drop_caches else "posix_fadvise"
        _print(results, options.workers, how, as_json=options.json)
    return int(bool(failed))


def besides(recipe: Recipe) -> Room:
    """What measuring takes beside the publication: a second version of it among other things."""
    own = large.needs(recipe)
    return Room(_BESIDES + recipe.items * _BESIDES_AN_ITEM + recipe.users * _BESIDES_A_USER, own.disk)


@contextlib.contextmanager
def another(made: Large) -> Iterator[str]:
    """A second version of the same; afterwards the volume is as it was."""
    other = large.again(made)
    try:
        yield other
    finally:
        labels.promote(made.volume, made.version)
        delete_version(made.volume, other)


def measure(
    made: Large,
    other: str,
    workers: int,
    rounds: int,
    rate: float | None,
    chill: Callable[[Sequence[Path]], None],
    reporter: Reporter,
) -> Result:
    """Starts, workers' starts and reloads, each in `rounds`."""
    kind = Questions(made, queries=1, seed=made.recipe.seed).kind("recommend")
    starts: dict[str, list[Start]] = {}
    with (
        tempfile.TemporaryDirectory() as temporary,
        reporter.step(f"{made.recipe.items:,} items, rounds", 5 * rounds) as advance,
    ):
        place = Path(temporary)
        requests = closed_loop.write_requests(place / "requests", kind.requests)
        for cache in CACHES:
            starts[cache] = []
            for _ in range(rounds):
                _prepare(cache, files_of(made.volume, made.version), chill)
                starts[cache].append(
                    start(made, place, workers, kind.requests[0], files_of(made.volume, made.version))
                )
                advance(1)
        with serving(made, place, workers=workers) as (service, pids):
            _warm_up(service, pids, requests)
            worker_seconds = []
            for _ in range(rounds):
                worker_seconds.append(start_worker(service))
                advance(1)
            pids = service.worker_pids()
            calls = _warm_up(service, pids, requests)
            longest = _LONGEST * max(one.seconds for own in starts.values() for one in own)
            plan = Plan(
                target=service.target,
                rate=LOAD * calls.calls_per_second if rate is None else rate,
                seconds=_BEFORE + longest,
                method="Recommend",
                requests=str(requests),
                seed=0,
                connections=_CALLERS,
            )
            reloads = _reloads(service, made, other, plan, rounds, chill, advance)
    return Result(starts, worker_seconds, plan.rate, reloads)


def start(made: Large, place: Path, workers: int, request: bytes, files: Sequence[Path]) -> Start:
    """Start a service and ask it until it answers; TimeoutError when it never does."""
    cached = cached_share(files)
    began = time.perf_counter()
    with Service(made.volume, place / "log", workers=workers) as service:
        listening = time.perf_counter() - began
        # gRPC would wait a second after a first connection that is refused.
        _wait_for_port(service.target, began + PATIENCE)
        with contextlib.ExitStack() as stack:
            ask = closed_loop.asker(stack, service.target, "Recommend")
            while True:
                try:
                    ask(request, timeout=PATIENCE, wait_for_ready=True)
                    return Start(listening, time.perf_counter() - began, cached)
                except grpc.RpcError as error:
                    # Nothing is loaded yet.
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                if time.perf_counter() - began > PATIENCE:
                    raise TimeoutError(f"no answer in {PATIENCE} s: {service.log[-500:]}")
                time.sleep(_AGAIN_SECONDS)


def _wait_for_port(target: str, end: float) -> None:
    host, _, port = target.rpartition(":")
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except ConnectionRefusedError:
            if time.perf_counter() > end:
                raise TimeoutError(f"nobody listens at {target}") from None
            time.sleep(_AGAIN_SECONDS)
        else:
            return


def start_worker(service: Service) -> float:
    """Kill a worker; seconds from its successor's start until that serves."""
    before = service.status()
    victim = before.workers[0]
    os.kill(victim.pid, signal.SIGKILL)

    def replaced(status: pb.GetStatusResponse) -> bool:
        return any(
            one.index == victim.index
            and one.pid not in (0, victim.pid)
            and one.state == pb.WORKER_STATE_RUNNING
            and one.version == victim.version
            for one in status.workers
        )

    status = service.wait_until(replaced, seconds=PATIENCE)
    (own,) = (one for one in status.workers if one.index == victim.index)
    return (own.serving_since.ToNanoseconds() - own.started_at.ToNanoseconds()) / 1e9


def reload(service: Service, volume: Path, version: str, plan: Plan) -> Reload:
    """Move the label while calls come by a schedule, and wait until all workers serve.

    Raises:
        BenchmarkError: the reload takes longer than the calls come, or no call came.
    """
    cached = cached_share(files_of(volume, version))
    process = open_loop.start(plan)
    with process:
        try:
            time.sleep(_BEFORE)
            began = time.perf_counter()
            labels.promote(volume, version)
            service.signal(signal.SIGHUP)
            status = service.wait_until_all_serve(version, seconds=PATIENCE)
            ended = time.perf_counter()
        except BaseException:
            process.kill()
            raise
        calls = open_loop.finish(process)
    outcome = status.last_reload
    steady, during = parted(calls, began, ended)
    return Reload(
        seconds=ended - began,
        own_seconds=outcome.duration_seconds,
        spread_seconds=outcome.commit_spread_seconds,
        calls=len(during.due),
        p99_milliseconds=p99_milliseconds(during.seconds),
        steady_p99_milliseconds=p99_milliseconds(steady.seconds),
        slowest_milliseconds=float(calls.seconds.max()) * 1000,
        cached=cached,
    )


def parted(calls: Scheduled, began: float, ended: float) -> tuple[Scheduled, Scheduled]:
    """The calls that were over before a reload began, and those during it.

    Raises:
        BenchmarkError: there are none of either, or the calls were over first.
    """
    if calls.due[-1] < ended:
        raise BenchmarkError(f"the reload took {ended - began:.1f} s, longer than calls came")
    over = calls.answered < began
    steady = Scheduled(calls.due[over], calls.asked[over], calls.answered[over])
    during = calls.within(began, ended)
    if not len(steady.due) or not len(during.due):
        raise BenchmarkError(
            "no call came before the reload, or none during it: ask at a higher --rate"
        )
    return steady, during


def p99_milliseconds(seconds: NDArray[np.float64]) -> float:
    """Of at least one call."""
    return float(np.percentile(seconds, 99)) * 1000


def files_of(volume: Path, version: str) -> list[Path]:
    """All files of a version but the manifest."""
    directory = layout.version_dir(volume, version)
    return [directory / name for name in reader.read_manifest(volume, version).files]


def forget(files: Sequence[Path]) -> None:
    """Ask the system to drop these files from the page cache: what no process has mapped."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def drop_all(files: Sequence[Path]) -> None:
    """Drop all that isn't mapped or dirty from the page cache."""
    os.sync()
    DROP_CACHES.write_text("3\n")


def read_all(files: Iterable[Path]) -> None:
    """Have files in the page cache."""
    for path in files:
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def cached_share(files: Sequence[Path]) -> float:
    """How much of some files is in the page cache, 0 to 1."""
    page = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    pages = resident = 0
    for path in files:
        if not path.stat().st_size:
            continue
        mapped = np.memmap(path, dtype=np.uint8, mode="r")
        there = np.zeros(-(-len(mapped) // page), dtype=np.uint8)
        if libc.mincore(mapped.ctypes.data, len(mapped), there.ctypes.data):
            raise OSError(ctypes.get_errno(), f"{path}: mincore failed")
        pages += len(there)
        resident += int((there & 1).sum())
    return resident / pages if pages else 1.0


def _prepare(cache: str, files: Sequence[Path], chill: Callable[[Sequence[Path]], None]) -> None:
    if cache == "cold":
        chill(files)
    else:
        read_all(files)


def _warm_up(service: Service, pids: list[int], requests: Path) -> closed_loop.Calls:
    (calls,) = closed_loop.ask(
        {service.target: pids},
        seconds=_SATURATION_SECONDS,
        connections=_CALLERS,
        method="Recommend",
        requests=requests,
    )
    return calls


def _reloads(
    service: Service,
    made: Large,
    other: str,
    plan: Plan,
    rounds: int,
    chill: Callable[[Sequence[Path]], None],
    advance: Advance,
) -> dict[str, list[Reload]]:
    result: dict[str, list[Reload]] = {cache: [] for cache in CACHES}
    serves, next_one = made.version, other
    for number in range(rounds):
        for cache in CACHES:
            _prepare(cache, files_of(made.volume, next_one), chill)
            seeded = msgspec.structs.replace(plan, seed=number)
            result[cache].append(reload(service, made.volume, next_one, seeded))
            serves, next_one = next_one, serves
            advance(1)
    return result


def _print(results: Sequence[tuple[Large, Result]], workers: int, how: str, *, as_json: bool) -> None:
    if as_json:
        sizes = [
            {**asdict(made.recipe), "indexes": indexes_of(made), **asdict(result)}
            for made, result in results
        ]
        frame.print_json(workers=workers, cold_by=how, sizes=sizes)
        return
    for made, result in results:
        size = sum(path.stat().st_size for path in made.directory.iterdir())
        title = (
            f"{made.recipe.items:,} items, {made.recipe.users:,} users; files of {size / 1e6:,.0f} MB; "
            f"{workers} workers; {machine_name()}; cold by {how}"
        )
        frame.show(title, *indexes_of(made), _times(result), "", _calls(result), "")


def _times(result: Result) -> Table:
    table = frame.table("", "seconds, median (lowest..highest)", "", "files in the cache")
    for cache, starts in result.starts.items():
        cached = f"{np.median([one.cached for one in starts]):.0%}"
        listening = [one.listening_seconds for one in starts]
        table.add_row(f"command to listening, {cache}", spread(listening), cached)
        table.add_row(
            f"command to first answer, {cache}", spread([one.seconds for one in starts]), cached
        )
    table.add_row("a worker's start until it serves", spread(result.worker_seconds), "100%")
    for cache, reloads in result.reloads.items():
        cached = f"{np.median([one.cached for one in reloads]):.0%}"
        for name, seconds in (
            ("label moved to all serve", [one.seconds for one in reloads]),
            ("reload as the service says", [one.own_seconds for one in reloads]),
            ("between first and last worker", [one.spread_seconds for one in reloads]),
        ):
            table.add_row(f"{name}, {cache}", spread(seconds), cached)
    return table


def _calls(result: Result) -> Table:
    title = f"Calls by a schedule of {result.rate:,.0f}/s; ms from when they were due"
    columns = ("reload", "calls in it", "p99 in it", "p99 before", "ratio", "slowest of all")
    table = frame.table(title, *columns)
    for cache, reloads in result.reloads.items():
        table.add_row(
            cache,
            f"{np.median([one.calls for one in reloads]):,.0f}",
            spread([one.p99_milliseconds for one in reloads]),
            spread([one.steady_p99_milliseconds for one in reloads]),
            spread([one.ratio for one in reloads]),
            f"{max(one.slowest_milliseconds for one in reloads):.1f}",
        )
    return table


def spread(values: Sequence[float]) -> str:
    """The median and the range."""
    return f"{np.median(values):.3f} ({min(values):.3f}..{max(values):.3f})"


if __name__ == "__main__":
    sys.exit(terminal.run(main))
