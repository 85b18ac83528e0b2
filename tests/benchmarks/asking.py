"""Callers of one server or several, in a process of their own, and how long each call took.

Started as `python -m tests.benchmarks.asking TARGET[,TARGET...] PLAN`, a Plan as JSON. Requests are
ready-made bytes, so that the callers leave as much as possible of the machine to the server.

In a closed loop each caller asks again as soon as it is answered. With several targets it asks them in
turn, call by call.

In an open loop calls come by a schedule, whether or not those before have been answered: at random and
independently, as many callers who know nothing of each other would ask. The next caller that is free
asks each. A call's latency counts from when it was due: where a server stalls, the calls that had to
wait for a caller count with all the time that they waited, which callers who ask again when they are
answered would not have noticed ("coordinated omission").

Writes a byte when all are connected, and in the end for each target when each call was due, asked and
answered, float64 on the monotonic clock, to standard output.
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
# From when all are connected to the first call of a schedule.
_HEAD_START = 0.1
_SLOWEST_CALL = 30
# A server that can't keep up is no longer waited for.
_TOO_LATE = 20.0

Ask = Callable[..., bytes]


class Server(NamedTuple):
    """Where a server listens, and the processes whose CPU time counts as its own."""

    target: str
    pids: Sequence[int]

    def cpu_seconds(self) -> float:
        """What the processes have used."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(own[11]) + int(own[12]) for own in fields) / os.sysconf("SC_CLK_TCK")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and when."""

    method: str  # Recommend, SimilarItems or BatchRecommend (of BATCH users)
    seconds: float  # for how long, whatever the number of servers
    # A file of what is asked over and over, as `write_requests` has it; without one each id of
    # tests.load.models.
    requests: str = ""
    # Each with a connection of its own to each server. Ask several servers with one caller: more would
    # queue up at the slower server, and look worse for it than they are.
    callers: int = 16
    rate: float = 0  # calls a second of an open loop; 0 for a closed one
    seed: int = 0  # of the schedule: with equal ones two servers are asked at the same times


@dataclass(frozen=True)
class Calls:
    """Calls to one server; times are seconds on the monotonic clock."""

    # (calls,) each; in a closed loop a call is due when it is asked.
    due: NDArray[np.float64]
    asked: NDArray[np.float64]
    answered: NDArray[np.float64]
    callers: int = 0  # of a closed loop; 0 for an open one
    cpu_seconds: float = 0.0  # of the server's processes, for all calls together

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How long each call took from when it was due."""
        return self.answered - self.due

    @property
    def late(self) -> NDArray[np.float64]:
        """How long after it was due each was asked: no connection was free, or the caller was slow."""
        return self.asked - self.due

    @property
    def calls_per_second(self) -> float:
        """In a closed loop of the time that callers spent on this server; else to the last answer."""
        if self.callers:
            return self.callers / float(self.seconds.mean())
        return len(self.due) / float(self.answered.max() - self.due.min())

    @property
    def cpu_microseconds(self) -> float:
        """Of the server's processes, a call."""
        return self.cpu_seconds / len(self.due) * 1e6

    def chosen(self, which: NDArray[np.bool_]) -> Calls:
        """Some of them."""
        return Calls(self.due[which], self.asked[which], self.answered[which])


def ask(servers: Sequence[Server], plan: Plan) -> list[Calls]:
    """Have a process of its own ask the servers in turn; returns the calls of each.

    Raises:
        subprocess.CalledProcessError: a call failed, or a server is far from keeping up.
    """
    before = [server.cpu_seconds() for server in servers]
    with start(servers, plan) as process:
        times = finish(process, len(servers))
    used = [server.cpu_seconds() - then for server, then in zip(servers, before, strict=True)]
    callers = 0 if plan.rate else plan.callers
    return [Calls(*own, callers, cpu) for own, cpu in zip(times, used, strict=True)]


def ask_each(servers: Sequence[Server], plan: Plan) -> list[Calls]:
    """As `ask`, but one server after the other, each for the plan's time."""
    return [calls for server in servers for calls in ask([server], plan)]


def start(servers: Sequence[Server], plan: Plan) -> subprocess.Popen[bytes]:
    """Start the process, which `finish` waits for; returns when its first call is about to come."""
    command = [sys.executable, "-m", "tests.benchmarks.asking", ",".join(one.target for one in servers)]
    command.append(msgspec.json.encode(plan).decode())
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    # When all are connected; nothing comes when one fails.
    process.stdout.read(1)
    return process


def finish(process: subprocess.Popen[bytes], servers: int) -> NDArray[np.float64]:
    """(servers, 3, calls): when each was due, asked and answered; raises what `ask` does."""
    written, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return np.frombuffer(written, dtype=np.float64).reshape(servers, 3, -1)


def write_requests(path: Path, requests: Sequence[bytes]) -> str:
    """Write serialized requests; returns the path."""
    path.write_bytes(msgspec.msgpack.encode(requests))
    return str(path)


def asker(stack: contextlib.ExitStack, target: str, method: str) -> Ask:
    """What asks a method by a connection of its own, in serialized messages."""
    channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
    ask: Ask = stack.enter_context(channel).unary_unary(
        f"/recsys.retriever.v1.RetrieverService/{method}"
    )
    return ask


def schedule(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """When calls are due, from 0 to `seconds`: a Poisson process of `rate` a second; at least one."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, round(rate * seconds)))
    times: NDArray[np.float64] = np.cumsum(gaps)
    # As many calls as were asked for in just that time, whatever was drawn.
    times *= seconds / times[-1]
    return times


class Turns:
    """What is to be asked when, by any number of threads, and when it was.

    Attributes:
        began: what the times are due from, on the monotonic clock.
        asked, answered: of each call, on the same.
    """

    def __init__(self, due: Sequence[float]) -> None:
        self.began = 0.0
        self.asked, self.answered = [0.0] * len(due), [0.0] * len(due)
        self._due = due
        self._numbers = itertools.count()
        self._failed = False

    def begin(self) -> None:
        """Let the first call be due in a moment, and say so."""
        self.began = time.perf_counter() + _HEAD_START
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def keep(self, ask: Callable[[int], object]) -> None:
        """Ask what is due next, again and again, until nothing is or another thread failed."""
        # Taking a number is one instruction, so no two threads get the same.
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
            raise RuntimeError("the server can't keep up with the schedule")
        self.asked[number] = time.perf_counter()
        ask(number)
        self.answered[number] = time.perf_counter()


def main(targets: Sequence[str], plan: Plan) -> None:
    requests = _requests(plan)
    due = schedule(plan.rate, plan.seconds, plan.seed) if plan.rate else np.empty(0)
    turns = Turns(due.tolist())
    begin = threading.Barrier(plan.callers, action=turns.begin)
    # Of each caller of a closed loop: when it began, and when each of its calls was answered.
    stamps: list[list[float]] = [[] for _ in range(plan.callers)]

    def call(caller: int) -> None:
        with contextlib.ExitStack() as stack:
            asks = [asker(stack, target, plan.method) for target in targets]
            try:
                for ask in asks:
                    ask(requests[0], timeout=_SLOWEST_CALL, wait_for_ready=True)
            except grpc.RpcError:
                # The others must not wait for this caller for ever.
                begin.abort()
                raise
            begin.wait()
            if plan.rate:
                turns.keep(
                    lambda number: asks[0](requests[number % len(requests)], timeout=_SLOWEST_CALL)
                )
            else:
                # Not the same as the others ask at the same time.
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
    """Have each number below `count` called in a thread of its own; exits when one fails."""
    failures: list[threading.ExceptHookArgs] = []
    threading.excepthook = failures.append
    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        # Not those who were only waiting for the one who failed.
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
