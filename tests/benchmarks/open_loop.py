"""Callers that ask by a schedule, whether or not those before have been answered.

Started as `python -m tests.benchmarks.open_loop PLAN`, a Plan as JSON. Calls are due at random and
independently, as many callers who know nothing of each other would ask. Each is asked by the next
connection that is free. A call's latency counts from when it was due: where a server stalls, the
calls that had to wait for a connection count with all the time that they waited, which callers who ask
again when they are answered would not have noticed ("coordinated omission"). Writes three times of each
call, float64 on the monotonic clock, to standard output: due, asked, answered. `ask` does so from
another process.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.closed_loop import asker, cpu_seconds, read_requests, run_callers, together

# From when all are connected to the first call.
_HEAD_START = 0.1
_SLOWEST_CALL = 30
# A server that can't keep up is no longer waited for.
_TOO_LATE = 20.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one server, and when.

    Attributes:
        target: its address.
        rate: calls a second.
        seconds: for how long they are due.
        method: what is asked.
        requests: a file of what is asked over and over, as closed_loop.write_requests has it.
        seed: of the schedule: with equal ones two servers are asked at the same times.
        connections: as many calls can be in flight.
    """

    target: str
    rate: float
    seconds: float
    method: str
    requests: str
    seed: int
    connections: int = 16


@dataclass(frozen=True)
class Scheduled:
    """Calls to one server; times are seconds on the monotonic clock.

    Attributes:
        due, asked, answered: (calls,) each, in the order in which they were due.
        cpu_seconds: of the server's processes, for all calls together.
    """

    due: NDArray[np.float64]
    asked: NDArray[np.float64]
    answered: NDArray[np.float64]
    cpu_seconds: float = 0.0

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
        """That were answered, from the first call's time to the last answer."""
        return len(self.due) / float(self.answered.max() - self.due.min())

    @property
    def cpu_microseconds(self) -> float:
        """Of the server's processes, a call."""
        return self.cpu_seconds / len(self.due) * 1e6

    def within(self, start: float, end: float) -> Scheduled:
        """The calls during some of whose time it was from `start` to `end`."""
        chosen = (self.due <= end) & (self.answered >= start)
        return Scheduled(self.due[chosen], self.asked[chosen], self.answered[chosen])


def schedule(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """When calls are due, from 0 to `seconds`: a Poisson process of `rate` a second; at least one."""
    random = np.random.default_rng(seed)
    gaps = random.exponential(1 / rate, max(1, round(rate * seconds)))
    times: NDArray[np.float64] = np.cumsum(gaps)
    # As many calls as were asked for in just that time, whatever was drawn.
    times *= seconds / times[-1]
    return times


def ask(plan: Plan, pids: Sequence[int]) -> Scheduled:
    """Have a process of its own ask one server, the CPU time of whose processes counts.

    Raises:
        subprocess.CalledProcessError: a call failed, or the server is far from keeping up.
    """
    before = sum(map(cpu_seconds, pids))
    with start(plan) as process:
        return finish(process, lambda: sum(map(cpu_seconds, pids)) - before)


def start(plan: Plan) -> subprocess.Popen[bytes]:
    """Start what `finish` waits for."""
    command = [sys.executable, "-m", "tests.benchmarks.open_loop", msgspec.json.encode(plan).decode()]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes], cpu: Callable[[], float] = lambda: 0.0) -> Scheduled:
    """Wait for the calls; raises subprocess.CalledProcessError as `ask` does."""
    written, _ = process.communicate()
    used = cpu()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    due, asked, answered = np.frombuffer(written, dtype=np.float64).reshape(3, -1)
    return Scheduled(due, asked, answered, used)


def main(arguments: list[str]) -> None:
    plan = msgspec.json.decode(arguments[0], type=Plan)
    offsets = schedule(plan.rate, plan.seconds, plan.seed)
    requests = read_requests(Path(plan.requests))
    turns = Turns(offsets.tolist())
    begin = threading.Barrier(plan.connections, action=turns.begin)

    def call(_: int) -> None:
        with contextlib.ExitStack() as stack:
            own = asker(stack, plan.target, plan.method)
            together(begin, lambda: own(requests[0], timeout=_SLOWEST_CALL, wait_for_ready=True))
            turns.keep(lambda number: own(requests[number % len(requests)], timeout=_SLOWEST_CALL))

    run_callers(plan.connections, call)
    times = np.array([offsets + turns.began, turns.asked, turns.answered])
    sys.stdout.buffer.write(times.tobytes())


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
        """Let the first call be due in a moment."""
        self.began = time.perf_counter() + _HEAD_START

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


if __name__ == "__main__":
    main(sys.argv[1:])
