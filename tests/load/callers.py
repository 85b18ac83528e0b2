"""Runs a process of callers. Each caller has its own connection, and calls at a steady rate.

Start it by `python -m tests.load.callers TARGET PLAN FILE`. It prints "ready" when every caller has had
an answer. It stops when its standard input ends, and writes one line for each call to FILE. It is a
separate process, so that the rest of the campaign doesn't slow the callers down.
"""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import grpc
import msgspec
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from retriever.client import Answer, CallError, RetrieverClient
from tests.load.models import ITEM_IDS, LIMIT, USER_IDS


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The callers: `plain` ones use generated stubs without retries, `careful` ones use our client."""

    plain: int
    careful: int
    calls_per_second: float
    timeout_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.plain} plain and {self.careful} careful callers with "
            f"{self.calls_per_second:.0f} calls a second each"
        )


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One call as its caller saw it. `started` is time.monotonic(), which all processes share."""

    started: float
    seconds: float
    careful: bool
    kind: str
    asked: str
    code: str
    details: str = ""
    version: str = ""
    item_ids: list[str] = []
    scores: list[float] = []


# Makes a call of a kind about an id, and returns the answer.
Ask = Callable[[str, str], Any]


class Callers:
    """The process of callers, for the campaign. It is a context manager, which ends the process."""

    def __init__(self, target: str, plan: Plan, file: Path) -> None:
        self._file = file
        command = [sys.executable, "-m", "tests.load.callers", target]
        self._process = subprocess.Popen(
            [*command, msgspec.json.encode(plan).decode(), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("not every caller got an answer")

    def stop(self) -> list[Call]:
        """Stop the callers, and return all calls."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        decoder = msgspec.json.Decoder(Call)
        return decoder.decode_lines(self._file.read_bytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Caller(threading.Thread):
    """One caller. `calls` are the calls that it has made."""

    def __init__(self, number: int, plan: Plan, ask: Ask, stop: threading.Event) -> None:
        super().__init__()
        self.answered = threading.Event()
        self.calls: list[Call] = []
        self._random = random.Random(number)  # noqa: S311
        self._interval = 1 / plan.calls_per_second
        self._careful = number >= plan.plain
        self._ask = ask
        self._stop_event = stop

    def run(self) -> None:
        """Call at a steady rate until the stop event is set."""
        # The callers start at random times of the interval. A late call doesn't delay the next one.
        due = time.monotonic() + self._interval * self._random.random()
        while not self._stop_event.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._interval, time.monotonic())
            kind = self._random.choice(["Recommend", "SimilarItems"])
            asked = self._random.choice(USER_IDS if kind == "Recommend" else ITEM_IDS)
            self.calls.append(self._call(kind, asked))
            self.answered.set()

    def _call(self, kind: str, asked: str) -> Call:
        details, version, items = "", "", []
        started = time.monotonic()
        try:
            answer = self._ask(kind, asked)
        except grpc.RpcError as error:
            code, details = error.code().name, error.details() or ""
        except CallError as error:
            code, details = error.code.name, error.details
        else:
            code, version, items = "OK", answer.version, answer.items
        return Call(
            started,
            time.monotonic() - started,
            self._careful,
            kind,
            asked,
            code,
            details,
            version,
            [item.item_id for item in items],
            [item.score for item in items],
        )


def main(target: str, plan_text: str, file: str) -> None:
    plan = msgspec.json.decode(plan_text, type=Plan)
    stop = threading.Event()
    asks = [_plain(target, plan.timeout_seconds)[1] for _ in range(plan.plain)]
    asks += [_careful(target, plan.timeout_seconds) for _ in range(plan.careful)]
    callers = [Caller(number, plan, ask, stop) for number, ask in enumerate(asks)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.answered.wait()
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for caller in callers:
        caller.join()
    calls = [call for caller in callers for call in caller.calls]
    Path(file).write_bytes(msgspec.json.Encoder().encode_lines(calls))


@contextmanager
def connection(target: str) -> Iterator[Ask]:
    """Call over one connection, by generated stubs without retries."""
    channel, ask = _plain(target, 10)
    with channel:
        yield lambda kind, asked: ((answer := ask(kind, asked)).version, answer.items)


def _plain(target: str, timeout_seconds: float) -> tuple[grpc.Channel, Ask]:
    channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
    stub = pb_grpc.RetrieverServiceStub(channel)

    def ask(kind: str, asked: str) -> pb.RecommendResponse | pb.SimilarItemsResponse:
        if kind == "Recommend":
            request = pb.RecommendRequest(user_id=asked, limit=LIMIT)
            return stub.Recommend(request, timeout=timeout_seconds)
        request = pb.SimilarItemsRequest(item_id=asked, limit=LIMIT)
        return stub.SimilarItems(request, timeout=timeout_seconds)

    return channel, ask


def _careful(target: str, timeout_seconds: float) -> Ask:
    client = RetrieverClient(target, connections=2, timeout_seconds=timeout_seconds)

    def ask(kind: str, asked: str) -> Answer:
        method = client.recommend if kind == "Recommend" else client.similar_items
        return method(asked, limit=LIMIT)

    return ask


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
