"""A process of callers: each has a connection of its own and asks at a steady rate until told to stop.

Started as `python -m tests.load.callers PLAN FILE`; says "ready" when every caller has had an answer,
stops when its standard input ends, and then writes one line for each call to FILE. A process of its
own, so that what else the campaign does doesn't slow the callers down.
"""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import msgspec
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from retriever.client import CallError, RetrieverClient
from tests.load.models import ITEM_IDS, LIMIT, USER_IDS


class Plan(msgspec.Struct, frozen=True):
    """Who calls: `plain` callers by generated stubs that never retry, `careful` ones by our client."""

    target: str
    plain: int
    careful: int
    calls_per_second: float
    timeout_seconds: float


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One call as its caller saw it; `started` is time.monotonic(), the same for all processes."""

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


Ask = Callable[[str, str], tuple[str, list[str], list[float]]]


class Callers:
    """The process, as the campaign sees it."""

    def __init__(self, plan: Plan, file: Path) -> None:
        self._file = file
        command = [sys.executable, "-m", "tests.load.callers", msgspec.json.encode(plan).decode()]
        self._process = subprocess.Popen(
            [*command, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("the callers didn't get an answer each")

    def stop(self) -> list[Call]:
        """Stop calling; returns every call."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        decoder = msgspec.json.Decoder(Call)
        with self._file.open("rb") as lines:
            return [decoder.decode(line) for line in lines]

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()


def main(arguments: list[str]) -> None:
    plan = msgspec.json.decode(arguments[0], type=Plan)
    stop = threading.Event()
    answered = threading.Semaphore(0)
    calls: list[list[Call]] = []
    threads = []
    for number in range(plan.plain + plan.careful):
        careful = number >= plan.plain
        ask = _careful(plan) if careful else _plain(plan)
        calls.append([])
        threads.append(
            threading.Thread(
                target=_call_steadily,
                args=(plan, number, careful, ask, stop, answered, calls[-1]),
            )
        )
    for thread in threads:
        thread.start()
    for _ in threads:
        answered.acquire()
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    encoder = msgspec.json.Encoder()
    with Path(arguments[1]).open("wb") as file:
        for own in calls:
            for call in own:
                file.write(encoder.encode(call) + b"\n")


def _call_steadily(
    plan: Plan,
    number: int,
    careful: bool,
    ask: Ask,
    stop: threading.Event,
    answered: threading.Semaphore,
    calls: list[Call],
) -> None:
    chosen = random.Random(number)  # noqa: S311
    interval = 1 / plan.calls_per_second
    # Callers are spread evenly over the interval, and a late call doesn't make the next one late.
    due = time.monotonic() + interval * chosen.random()
    while not stop.wait(max(0.0, due - time.monotonic())):
        due = max(due + interval, time.monotonic())
        kind = chosen.choice(["Recommend", "SimilarItems"])
        asked = chosen.choice(USER_IDS if kind == "Recommend" else ITEM_IDS)
        started = time.monotonic()
        try:
            version, item_ids, scores = ask(kind, asked)
        except grpc.RpcError as error:
            call = Call(started, 0, careful, kind, asked, error.code().name, error.details() or "")
        except CallError as error:
            call = Call(started, 0, careful, kind, asked, error.code.name, error.details)
        else:
            call = Call(started, 0, careful, kind, asked, "OK", "", version, item_ids, scores)
        calls.append(msgspec.structs.replace(call, seconds=time.monotonic() - started))
        if len(calls) == 1:
            answered.release()


def _plain(plan: Plan) -> Ask:
    return _asking(plan.target, plan.timeout_seconds)[1]


@contextmanager
def connection(target: str, *, timeout_seconds: float = 10.0) -> Iterator[Ask]:
    """Asks over one connection, by generated stubs and without retries."""
    channel, ask = _asking(target, timeout_seconds)
    with channel:
        yield ask


def _asking(target: str, timeout_seconds: float) -> tuple[grpc.Channel, Ask]:
    channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
    stub = pb_grpc.RetrieverServiceStub(channel)

    def ask(kind: str, asked: str) -> tuple[str, list[str], list[float]]:
        if kind == "Recommend":
            request = pb.RecommendRequest(user_id=asked, limit=LIMIT)
            answer = stub.Recommend(request, timeout=timeout_seconds)
        else:
            request = pb.SimilarItemsRequest(item_id=asked, limit=LIMIT)
            answer = stub.SimilarItems(request, timeout=timeout_seconds)
        return (
            answer.version,
            [item.item_id for item in answer.items],
            [item.score for item in answer.items],
        )

    return channel, ask


def _careful(plan: Plan) -> Ask:
    client = RetrieverClient(plan.target, connections=2, timeout_seconds=plan.timeout_seconds)

    def ask(kind: str, asked: str) -> tuple[str, list[str], list[float]]:
        method = client.recommend if kind == "Recommend" else client.similar_items
        answer = method(asked, limit=LIMIT)
        return (
            answer.version,
            [item.item_id for item in answer.items],
            [item.score for item in answer.items],
        )

    return ask


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1:])
