"""Measure starts of a retriever and of a worker, and reloads, with a cold and a warm page cache.

    python -m tests.benchmarks.startup --items 1000000 --users 1000000 --backend faiss

- start: from the command until the answer to a Recommend. The parent verifies every byte.
- worker: a worker is killed. From the start of its successor until that serves. The cache is always
  warm, because the other workers have mapped the files.
- reload: from the move of the label to another version, with the same content but its own files, until
  all workers serve it. The parent gets SIGHUP. Meanwhile calls come in an open loop, at half of the
  maximum rate. Their p99 during the reload is compared with the p99 before.

Cold means that no file of the version is in the page cache. By default, the benchmark asks the system
to forget only these files (posix_fadvise), so Python and its libraries stay in the cache. With
--drop-caches, which needs root, it empties the whole cache (/proc/sys/vm/drop_caches), which slows the
whole machine down. The report shows the share of the files that was still in the cache.
"""

import argparse
import contextlib
import ctypes
import itertools
import mmap
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from msgspec.structs import replace
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import labels, layout, reader
from lightfm_retriever.publication.removal import delete_version
from tests.benchmarks import asking, frame, large
from tests.benchmarks.asking import Calls, Plan, Server
from tests.benchmarks.figures import percentiles
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Large, Recipe
from tests.benchmarks.questions import Questions
from tests.benchmarks.room import Room
from tests.benchmarks.serving import LOAD, PATIENCE, serving
from tests.machine import machine_name
from tests.service import Service

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
CACHES = ("cold", "warm")

# Seconds between two attempts to get a first answer.
_AGAIN_SECONDS = 0.005
# Seconds of calls before a reload, and maximum duration of a reload relative to the slowest start.
_BEFORE = 4.0
_LONGEST = 3.0
_SATURATION_SECONDS = 2.0
_BESIDES = 1e9
_BESIDES_AN_ITEM = 800
_BESIDES_A_USER = 300


# Durations of one start or reload, by the names in the report.
Took = dict[str, float]


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    large.add_arguments(parser, items=[1_000_000])
    add = parser.add_argument
    add("--workers", type=frame.positive, default=2, help="worker processes (default: 2)")
    add("--rounds", type=frame.positive, default=3, help="rounds of each measurement (default: 3)")
    told = f"calls/s during a reload (default: {LOAD:.0%}% of the maximum rate)"
    add("--rate", type=frame.above_0, help=told)
    add("--drop-caches", action="store_true", help="empty the whole page cache (needs root)")
    options = parser.parse_args()
    if options.drop_caches and not os.access(DROP_CACHES, os.W_OK):
        raise BenchmarkError(f"--drop-caches must write {DROP_CACHES}, which needs root")
    how = "drop_caches" if options.drop_caches else "posix_fadvise"
    sizes, parts = [], []
    for made in large.each(options, besides):
        other = large.again(made)
        try:
            result = measure(made, other, options)
        finally:
            labels.promote(made.volume, made.version)
            delete_version(made.volume, other)
        sizes.append({**made.described, **result})
        title = (
            f"{made.title}; files of {made.bytes / 1e6:,.0f} MB; {options.workers} workers; "
            f"{machine_name()}; cold by {how}"
        )
        calls = f"Calls in an open loop of {result['rate']:,.0f}/s; ms from the time when they were due"
        parts += [title, *made.indexes, frame.table("", _times(result)), ""]
        parts += [frame.table(calls, _calls(result)), ""]
    frame.report(options, *parts, workers=options.workers, cold_by=how, sizes=sizes)


def besides(recipe: Recipe) -> Room:
    """Return the need of the measurement in addition to the publication, with a second version."""
    own = large.needs(recipe)
    return Room(_BESIDES + recipe.items * _BESIDES_AN_ITEM + recipe.users * _BESIDES_A_USER, own.disk)


def measure(made: Large, other: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure starts, starts of workers, and reloads: a figure per round and state of the cache."""
    kind = Questions(made, queries=1, seed=made.recipe.seed).kind("recommend")
    starts: dict[str, list[Took]] = {cache: [] for cache in CACHES}
    reloads: dict[str, list[Took]] = {cache: [] for cache in CACHES}
    worker_seconds = []
    title = f"{made.recipe.items:,} items, rounds"
    with (
        tempfile.TemporaryDirectory() as temporary,
        frame.reporter(options).step(title, 5 * options.rounds) as advance,
    ):
        place = Path(temporary)
        requests = asking.write_requests(place / "requests", kind.requests)
        plan = Plan(method="Recommend", seconds=_SATURATION_SECONDS, requests=requests)
        for cache in CACHES:
            for _ in range(options.rounds):
                prepare(cache, files_of(made.volume, made.version), options)
                starts[cache].append(start(made, place, options.workers, kind.requests[0]))
                advance(1)
        with serving(made, place, workers=options.workers) as (service, server):
            asking.ask([server], plan)
            for _ in range(options.rounds):
                worker_seconds.append(start_worker(service))
                advance(1)
            [calls] = asking.ask([Server(service.target, service.worker_pids())], plan)
            rate = options.rate or LOAD * calls.calls_per_second
            longest = _LONGEST * max(one["seconds"] for own in starts.values() for one in own)
            versions = itertools.cycle([other, made.version])
            for number in range(options.rounds):
                for cache, version in zip(CACHES, versions, strict=False):
                    prepare(cache, files_of(made.volume, version), options)
                    scheduled = replace(plan, rate=rate, seconds=_BEFORE + longest, seed=number)
                    reloads[cache].append(reload(service, made.volume, version, scheduled))
                    advance(1)
    measured = {"starts": starts, "worker_seconds": worker_seconds, "rate": rate}
    return {**measured, "reloads": reloads}


def start(made: Large, place: Path, workers: int, request: bytes) -> Took:
    """Start a service, and call it until it answers. Raises TimeoutError."""
    cached = cached_share(files_of(made.volume, made.version))
    began = time.perf_counter()
    with Service(made.volume, place / "log", workers=workers) as service:
        listening = time.perf_counter() - began
        # After a refused connection, gRPC would wait a second.
        _wait_for_port(service.target, began + PATIENCE)
        with contextlib.ExitStack() as stack:
            ask = asking.asker(stack, service.target, "Recommend")
            while time.perf_counter() < began + PATIENCE:
                try:
                    ask(request, timeout=PATIENCE, wait_for_ready=True)
                    seconds = time.perf_counter() - began
                    return {"listening_seconds": listening, "seconds": seconds, "cached": cached}
                except grpc.RpcError as error:
                    # No version is loaded yet.
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                time.sleep(_AGAIN_SECONDS)
        raise TimeoutError(f"no answer in {PATIENCE} s: {service.log[-500:]}")


def _wait_for_port(target: str, end: float) -> None:
    host, _, port = target.rpartition(":")
    while time.perf_counter() < end:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        time.sleep(_AGAIN_SECONDS)
    raise TimeoutError(f"no program listens at {target}")


def start_worker(service: Service) -> float:
    """Kill a worker. Returns the seconds from the start of its successor until that serves."""
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


def reload(service: Service, volume: Path, version: str, plan: Plan) -> Took:
    """Move the label during an open loop of calls, and wait until all workers serve the version.

    Raises:
        BenchmarkError: the reload took longer than the calls, or no call came.
    """
    cached = cached_share(files_of(volume, version))
    process = asking.start([Server(service.target, [])], plan)
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
        calls = Calls(*asking.finish(process, 1)[0])
    steady, during = parted(calls, began, ended)
    return {
        "seconds": ended - began,
        # By the service's report: the duration for all workers, and between the first and the last one.
        "own_seconds": status.last_reload.duration_seconds,
        "spread_seconds": status.last_reload.commit_spread_seconds,
        "calls": len(during.due),
        "p99_milliseconds": percentiles([during.seconds], 99)[0],
        "steady_p99_milliseconds": percentiles([steady.seconds], 99)[0],
        "slowest_milliseconds": percentiles([calls.seconds], 100)[0],
        "cached": cached,
    }


def parted(calls: Calls, began: float, ended: float) -> tuple[Calls, Calls]:
    """Split calls into those that ended before a reload began, and those during it.

    Raises:
        BenchmarkError: one of both is empty, or the calls ended before the reload.
    """
    if calls.due[-1] < ended:
        raise BenchmarkError(f"the reload took {ended - began:.1f} s, but the calls ended earlier")
    steady = calls.chosen(calls.answered < began)
    during = calls.chosen((calls.due <= ended) & (calls.answered >= began))
    if not len(steady.due) or not len(during.due):
        raise BenchmarkError("no call came before the reload, or none during it: give a higher --rate")
    return steady, during


def files_of(volume: Path, version: str) -> list[Path]:
    """Return all files of a version but the manifest."""
    directory = layout.version_dir(volume, version)
    return [directory / name for name in reader.read_manifest(volume, version).files]


def prepare(cache: str, files: Sequence[Path], options: argparse.Namespace) -> None:
    """Bring files into the page cache, or remove their pages that no process has mapped."""
    if cache == "cold" and options.drop_caches:
        os.sync()
        DROP_CACHES.write_text("3\n")
        return
    for path in files:
        with path.open("rb") as file:
            if cache == "cold":
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while cache == "warm" and file.read(1 << 24):
                pass


def cached_share(files: Sequence[Path]) -> float:
    """Return the share of some files that is in the page cache, 0 to 1."""
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


def _times(result: dict[str, Any]) -> Iterator[dict[str, str]]:
    columns = ("", "seconds, median (lowest..highest)", "files in the cache")
    for name, figure, kind in (
        ("command to listening", "listening_seconds", "starts"),
        ("command to first answer", "seconds", "starts"),
        ("label moved to all serve", "seconds", "reloads"),
        ("reload as the service says", "own_seconds", "reloads"),
        ("between first and last worker", "spread_seconds", "reloads"),
    ):
        for cache, rounds in result[kind].items():
            cached = f"{np.median([one['cached'] for one in rounds]):.0%}"
            seconds = spread([one[figure] for one in rounds])
            yield dict(zip(columns, (f"{name}, {cache}", seconds, cached), strict=True))
    worker = ("a worker's start until it serves", spread(result["worker_seconds"]), "100%")
    yield dict(zip(columns, worker, strict=True))


def _calls(result: dict[str, Any]) -> Iterator[dict[str, str]]:
    for cache, rounds in result["reloads"].items():
        during, before = (
            [one[f"{when}p99_milliseconds"] for one in rounds] for when in ("", "steady_")
        )
        yield {
            "reload": cache,
            "calls in it": f"{np.median([one['calls'] for one in rounds]):,.0f}",
            "p99 in it": spread(during),
            "p99 before": spread(before),
            "ratio": spread(np.divide(during, before)),
            "slowest of all": f"{max(one['slowest_milliseconds'] for one in rounds):.1f}",
        }


def spread(values: Sequence[float]) -> str:
    """Format the median and the range."""
    return f"{np.median(values):.3f} ({min(values):.3f}..{max(values):.3f})"


if __name__ == "__main__":
    frame.run(main)
