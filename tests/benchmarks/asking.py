"""Runs callers of one or more servers in their own process, and measures the latency of each call.

Start it by `python -m tests.benchmarks.asking TARGET[,TARGET...] PLAN`; PLAN is a Plan as JSON.
Requests are prepared bytes, so that the callers leave as much of the machine as possible to the server.

In a closed loop, each caller calls again as soon as it has the answer. With several targets, it calls
them in turn.

In an open loop, calls follow a schedule, even if earlier calls have no answer yet. They come at random
and independently, like calls of many independent callers. The next free caller makes each call. Latency
counts from the time when a call was due. If a server stalls, calls that had to wait for a caller count
with their whole waiting time. A closed loop would miss that time ("coordinated omission").

Writes a byte to standard output when all callers are connected. At the end, writes for each target when
each call was due, made and answered: float64 seconds on the monotonic clock.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import grpc
import msgspec
import numpy as np
from numpy.typing import NDArray
from recsys.retriever.v1 import retriever_service_pb2 as pb

from tests.load.models import ITEM_IDS, USER_IDS

METHODS = ("Recommend", "SimilarItems")
BATCH = 64
# Seconds between the last connection and the first call of a schedule.
_HEAD_START = 0.1
_SLOWEST_CALL = 30
# The benchmark fails if a server is this many seconds behind the schedule.
_TOO_LATE = 20.0

Ask = Callable[..., bytes]


class Server(NamedTuple):
    """A server's address, and the processes whose CPU time counts."""

    target: str
    pids: Sequence[int]

    def cpu_seconds(self) -> float:
        """Return the CPU time of the processes so far."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(own[11]) + int(own[12]) for own in fields) / os.sysconf("SC_CLK_TCK")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The calls to make, and their times."""

    method: str  # Recommend, SimilarItems or BatchRecommend (of BATCH users)
    seconds: float  # duration, for all servers together
    # A file of requests to repeat, from `write_requests`; without it, requests for each id of
    # tests.load.models.
    requests: str = ""
    # Each caller has its own connection to each server. Use one caller for several servers: with more,
    # calls would queue at the slower server, which would then look even slower.
    callers: int = 16
    rate: float = 0  # calls per second of an open loop; 0 for a closed one
    seed: int = 0  # seed of the schedule; with equal seeds, two servers get calls at the same times


@dataclass(frozen=True)
class Calls:
    """Calls to one server; times are seconds on the monotonic clock."""

    # (calls,) each; in a closed loop, a call is due when it is made.
    due: NDArray[np.float64]
    asked: NDArray[np.float64]
    answered: NDArray[np.float64]
    callers: int = 0  # callers of a closed loop; 0 for an open one
    cpu_seconds: float = 0.0  # CPU time of the server's processes, for all calls together

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Return the latency of each call, from the time when it was due."""
        return self.answered - self.due

    @property
    def late(self) -> NDArray[np.float64]:
        """Return the delay of each call before it was made: no caller was free, or it was slow."""
        return self.asked - self.due

    @property
    def calls_per_second(self) -> float:
        """Return the rate, in a closed loop over the time that callers spent on this server."""
        if self.callers:
            return self.callers / float(self.seconds.mean())
        return len(self.due) / float(self.answered.max() - self.due.min())

    @property
    def cpu_microseconds(self) -> float:
        """Return the CPU time of the server's processes per call."""
        return self.cpu_seconds / len(self.due) * 1e6

    def chosen(self, which: NDArray[np.bool_]) -> Calls:
        """Return the selected calls."""
        return Calls(self.due[which], self.asked[which], self.answered[which])


def ask(servers: Sequence[Server], plan: Plan) -> list[Calls]:
    """Call the servers in turn, from a separate process. Returns the calls to each server.

    Raises:
        subprocess.CalledProcessError: a call failed, or a server is too slow for the schedule.
    """
    before = [server.cpu_seconds() for server in servers]
    with start(servers, plan) as process:
        times = finish(process, len(servers))
    used = [server.cpu_seconds() - then for server, then in zip(servers, before, strict=True)]
    callers = 0 if plan.rate else plan.callers
    return [Calls(*own, callers, cpu) for own, cpu in zip(times, used, strict=True)]


def ask_each(servers: Sequence[Server], plan: Plan) -> list[Calls]:
    """Call one server after the other, each for the plan's time. Otherwise like `ask`."""
    return [calls for server in servers for calls in ask([server], plan)]


def start(servers: Sequence[Server], plan: Plan) -> subprocess.Popen[bytes]:
    """Start the process of callers, and return shortly before the first call."""
    command = [sys.executable, "-m", "tests.benchmarks.asking", ",".join(one.target for one in servers)]
    command.append(msgspec.json.encode(plan).decode())
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    # The byte comes when all callers are connected, and never if one fails.
    process.stdout.read(1)
    return process


def finish(process: subprocess.Popen[bytes], servers: int) -> NDArray[np.float64]:
    """Return (servers, 3, calls): the times when each call was due, made and answered.

    Raises as `ask` does.
    """
    written, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return np.frombuffer(written, dtype=np.float64).reshape(servers, 3, -1)


def write_requests(path: Path, requests: Sequence[bytes]) -> str:
    """Write serialized requests to a file. Returns its path."""
    path.write_bytes(msgspec.msgpack.encode(requests))
    return str(path)


def asker(stack: contextlib.ExitStack, target: str, method: str) -> Ask:
    """Return a function that calls a method over its own connection, with serialized messages."""
    channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
    ask: Ask = stack.enter_context(channel).unary_unary(
        f"/recsys.retriever.v1.RetrieverService/{method}"
    )
    return ask


def schedule(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """Draw the times of calls in 0..`seconds`: a Poisson process of `rate` per second, at least one."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, round(rate * seconds)))
    times: NDArray[np.float64] = np.cumsum(gaps)
    # Scale the times, so that exactly the wanted number of calls fits the duration.
    times *= seconds / times[-1]
    return times


class Turns:
    """Assigns scheduled calls to threads, and records their times.

    Attributes:
        began: start of the schedule, on the monotonic clock.
        asked, answered: times of each call, on the same clock.
    """

    def __init__(self, due: Sequence[float]) -> None:
        self.began = 0.0
        self.asked, self.answered = [0.0] * len(due), [0.0] * len(due)
        self._due = due
        self._numbers = itertools.count()
        self._failed = False

    def begin(self) -> None:
        """Start the schedule in a moment, and write the byte to standard output."""
        self.began = time.perf_counter() + _HEAD_START
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def keep(self, ask: Callable[[int], object]) -> None:
        """Make the next call, again and again, until none is left or another thread failed."""
        # Taking a number is atomic, so each thread gets another one.
        for number in self._numbers:
            if number >= len(self._due) or self._failed:
                return
            try:
                self._ask(ask, number)
            except BaseException:
                self._failed = True
                raise

    def _ask(self, ask: Callable[[int], object], number: int) -> None:
        wait = self.began + self._due[number] - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        elif wait < -_TOO_LATE:
            raise RuntimeError("the server is too slow for the schedule")
        self.asked[number] = time.perf_counter()
        ask(number)
        self.answered[number] = time.perf_counter()


def main(targets: Sequence[str], plan: Plan) -> None:
    requests = _requests(plan)
    due = schedule(plan.rate, plan.seconds, plan.seed) if plan.rate else np.empty(0)
    turns = Turns(due.tolist())
    begin = threading.Barrier(plan.callers, action=turns.begin)
    # For each caller of a closed loop: its start, and the time of each answer.
    stamps: list[list[float]] = [[] for _ in range(plan.callers)]

    def call(caller: int) -> None:
        with contextlib.ExitStack() as stack:
            asks = [asker(stack, target, plan.method) for target in targets]
            try:
                for ask in asks:
                    ask(requests[0], timeout=_SLOWEST_CALL, wait_for_ready=True)
            except grpc.RpcError:
                # The other callers mustn't wait forever for this one.
                begin.abort()
                raise
            begin.wait()
            if plan.rate:
                turns.keep(
                    lambda number: asks[0](requests[number % len(requests)], timeout=_SLOWEST_CALL)
                )
            else:
                # Start at different requests, so that callers don't send the same ones.
                first = caller * (len(requests) // plan.callers)
                own = itertools.cycle(requests[first:] + requests[:first])
                _again(asks, own, plan.seconds, stamps[caller].append)

    _run_callers(plan.callers, call)
    if plan.rate:
        times = [np.array([due + turns.began, turns.asked, turns.answered])]
    else:
        times = [_of_target(stamps, number, len(targets)) for number in range(len(targets))]
    for own in times:
        sys.stdout.buffer.write(own.tobytes())


def _again(
    asks: Sequence[Ask], requests: Iterator[bytes], seconds: float, note: Callable[[float], None]
) -> None:
    now = time.perf_counter()
    end = now + seconds
    note(now)
    while now < end:
        request = next(requests)
        for ask in asks:
            ask(request, timeout=_SLOWEST_CALL)
            note(now := time.perf_counter())


def _of_target(stamps: Sequence[list[float]], number: int, targets: int) -> NDArray[np.float64]:
    began = np.concatenate([own[:-1][number::targets] for own in stamps])
    return np.array([began, began, np.concatenate([own[1:][number::targets] for own in stamps])])


def _run_callers(count: int, call: Callable[[int], None]) -> None:
    """Call `call` with each number below `count`, each in its own thread. Exits if one fails."""
    failures: list[threading.ExceptHookArgs] = []
    threading.excepthook = failures.append
    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        # Leave out the callers that only waited for the one that failed.
        causes = [one.exc_value for one in failures if one.exc_type is not threading.BrokenBarrierError]
        sys.exit(f"{len(failures)} of {count} callers failed, the first by {causes[0]!r}")


def _requests(plan: Plan) -> list[bytes]:
    if plan.requests:
        return msgspec.msgpack.decode(Path(plan.requests).read_bytes(), type=list[bytes])
    if plan.method == "SimilarItems":
        return [pb.SimilarItemsRequest(item_id=one).SerializeToString() for one in ITEM_IDS]
    return [pb.RecommendRequest(user_id=one).SerializeToString() for one in USER_IDS]


if __name__ == "__main__":
    main(sys.argv[1].split(","), msgspec.json.decode(sys.argv[2], type=Plan))
