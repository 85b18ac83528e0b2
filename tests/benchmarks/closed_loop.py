"""Callers that each ask again as soon as they are answered, for a given time.

Started as `python -m tests.benchmarks.closed_loop TARGET[,TARGET...] CONNECTIONS SECONDS [METHOD
[REQUESTS]]`, where METHOD is Recommend, SimilarItems or BatchRecommend (of BATCH users), and REQUESTS a
file of them as `write_requests` has it. With several targets each caller asks them in turn, call by
call. Writes the latency of every call in seconds as float64 to standard output: all of the first
target's, then as many of the next one's. Requests are ready-made bytes, so that the callers leave as
much as possible of the machine to the server. `ask` and `measure` do so from another process.
"""

import contextlib
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray
from recsys.retriever.v1 import retriever_service_pb2 as pb

from tests.load.models import ITEM_IDS, USER_IDS

METHODS = ("Recommend", "SimilarItems")
BATCH = 64

Ask = Callable[..., bytes]

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Calls:
    """Calls to one server.

    Attributes:
        seconds: how long each took, in the order of the callers.
        callers: who asked at the same time.
        cpu_seconds: of the server's processes, for all calls together.
    """

    seconds: NDArray[np.float64]
    callers: int
    cpu_seconds: float

    @property
    def calls_per_second(self) -> float:
        """Of the time that callers spent on this server."""
        return self.callers / float(self.seconds.mean())

    @property
    def cpu_microseconds(self) -> float:
        """Of the server's processes, a call."""
        return self.cpu_seconds / len(self.seconds) * 1e6


@dataclass(frozen=True)
class Round:
    """What one server did in one round."""

    calls_per_second: float
    cpu_microseconds: float
    p50_milliseconds: float
    p99_milliseconds: float


def measure(
    targets: Mapping[str, Sequence[int]],
    *,
    seconds: float,
    connections: int = 16,
    method: str = "Recommend",
) -> list[Round]:
    """Have a process of its own ask one server, or several in turn, call by call.

    Args:
        targets: address -> ids of the processes whose CPU time counts.
        seconds: how long, for all servers together.
        connections: callers, each with a connection of its own to each server. Ask several servers with
            one caller: more would queue up at the slower server, and look worse for it than they are.
        method: what is asked.

    Returns:
        One for each server. Calls a second count the time that callers spent on that server.

    Raises:
        subprocess.CalledProcessError: a call failed.
    """
    return [
        Round(
            calls_per_second=of_target.calls_per_second,
            cpu_microseconds=of_target.cpu_microseconds,
            p50_milliseconds=float(np.percentile(of_target.seconds, 50)) * 1000,
            p99_milliseconds=float(np.percentile(of_target.seconds, 99)) * 1000,
        )
        for of_target in ask(targets, seconds=seconds, connections=connections, method=method)
    ]


def ask(
    targets: Mapping[str, Sequence[int]],
    *,
    seconds: float,
    connections: int,
    method: str,
    requests: Path | None = None,
) -> list[Calls]:
    """As `measure`, but every call of each server, and with any requests.

    Args:
        targets, seconds, connections, method: as in `measure`.
        requests: a file of what is asked over and over, as `write_requests` has it.

    Raises:
        subprocess.CalledProcessError: a call failed.
    """
    before = [sum(map(cpu_seconds, pids)) for pids in targets.values()]
    command = [sys.executable, "-m", "tests.benchmarks.closed_loop", ",".join(targets)]
    command += [str(connections), str(seconds), method]
    command += [] if requests is None else [str(requests)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    after = [sum(map(cpu_seconds, pids)) for pids in targets.values()]
    latencies = np.frombuffer(done.stdout, dtype=np.float64).reshape(len(targets), -1)
    return [
        Calls(own, connections, end - start)
        for own, start, end in zip(latencies, before, after, strict=True)
    ]


def write_requests(path: Path, requests: Sequence[bytes]) -> Path:
    """Write serialized requests, each after its length; returns the path."""
    path.write_bytes(b"".join(_LENGTH.pack(len(request)) + request for request in requests))
    return path


def read_requests(path: Path) -> list[bytes]:
    """Inverse of `write_requests`."""
    data = path.read_bytes()
    requests = []
    place = 0
    while place < len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size + length
        requests.append(data[place - length : place])
    return requests


def main(arguments: list[str]) -> None:
    targets = arguments[0].split(",")
    connections, seconds = int(arguments[1]), float(arguments[2])
    method = arguments[3] if len(arguments) > 3 else METHODS[0]
    requests = read_requests(Path(arguments[4])) if len(arguments) > 4 else _requests(method)
    latencies: list[list[list[float]]] = [[[] for _ in targets] for _ in range(connections)]
    begin = threading.Barrier(connections)

    def call(caller: int) -> None:
        with contextlib.ExitStack() as stack:
            asks = [asker(stack, target, method) for target in targets]
            together(begin, lambda: [ask(requests[0], timeout=10, wait_for_ready=True) for ask in asks])
            turns = [(ask, times.append) for ask, times in zip(asks, latencies[caller], strict=True)]
            now = time.perf_counter()
            end = now + seconds
            # Not the same as the others ask at the same time.
            number = caller * (len(requests) // connections)
            while now < end:
                request = requests[number % len(requests)]
                for ask, note in turns:
                    ask(request, timeout=10)
                    began, now = now, time.perf_counter()
                    note(now - began)
                number += 1

    run_callers(connections, call)
    for of_target in zip(*latencies, strict=True):
        sys.stdout.buffer.write(np.concatenate(of_target).tobytes())


def together(begin: threading.Barrier, connect: Callable[[], object]) -> None:
    """Connect, and wait until all callers have."""
    try:
        connect()
    except grpc.RpcError:
        # The others must not wait for this caller for ever.
        begin.abort()
        raise
    begin.wait()


def run_callers(count: int, call: Callable[[int], None]) -> None:
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


def asker(stack: contextlib.ExitStack, target: str, method: str) -> Ask:
    """What asks a method by a connection of its own, in serialized messages."""
    channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
    ask: Ask = stack.enter_context(channel).unary_unary(
        f"/recsys.retriever.v1.RetrieverService/{method}"
    )
    return ask


def _requests(method: str) -> list[bytes]:
    if method == "SimilarItems":
        return [pb.SimilarItemsRequest(item_id=one).SerializeToString() for one in ITEM_IDS]
    return [pb.RecommendRequest(user_id=one).SerializeToString() for one in USER_IDS]


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(sys.argv[1:])
