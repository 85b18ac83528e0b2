"""Calls a second of the retriever beside a bare echo server, for 1, 2 and 4 workers.

The echo server is as many processes on one port, whose handler answers a reply of the same bytes as a
Recommend of ten items. Both are asked by the same callers in turn, in rounds, so that a machine that
gets slower does so for both; the ratio is what counts. Callers run on the same cores as the servers, so
the servers' own CPU time a call is measured too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc
from rich.console import Console
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication import labels
from retriever.client import open_channel
from tests.benchmarks.closed_loop import Round, measure
from tests.load import models
from tests.machine import machine_name
from tests.service import Service

CONNECTIONS = 16
THREADS = 4


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="worker processes")
    parser.add_argument("--items", type=int, default=1682, help="items of the catalogue")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each number of workers")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round and server")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        volume = Path(temporary) / "volume"
        size = models.Size(items=options.items, components=64, every=False)
        labels.promote(volume, models.publish(volume, "a", 1, size).version)
        results = {
            workers: compare(volume, workers, options.rounds, options.seconds)
            for workers in options.workers
        }
    _print(results, as_json=options.json)
    return 0


def compare(volume: Path, workers: int, rounds: int, seconds: float) -> list[tuple[Round, Round]]:
    """Rounds of the retriever and of the echo server, in turn."""
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(
            Service(volume, volume.parent / "log", workers=workers, threads=THREADS)
        )
        status = service.wait_until(
            lambda status: (
                all(worker.version for worker in status.workers) and len(status.workers) == workers
            )
        )
        retrievers = [worker.pid for worker in status.workers]
        reply = _reply(service.target)
        target, echoes = stack.enter_context(_echo_servers(workers, reply))
        return [
            (_measured(service.target, retrievers, seconds), _measured(target, echoes, seconds))
            for _ in range(rounds)
        ]


def _reply(target: str) -> bytes:
    with open_channel(target) as channel:
        request = pb.RecommendRequest(user_id=models.USER_IDS[0])
        answer = pb_grpc.RetrieverServiceStub(channel).Recommend(request, timeout=10)
    return bytes(answer.SerializeToString())


@contextlib.contextmanager
def _echo_servers(workers: int, reply: bytes) -> Iterator[tuple[str, list[int]]]:
    with socket.socket() as held, contextlib.ExitStack() as stack:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{held.getsockname()[1]}"
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.echo_server",
            target,
            reply.hex(),
            str(THREADS),
        ]
        servers = []
        for _ in range(workers):
            server = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            stack.callback(server.kill)
            servers.append(server)
        for server in servers:
            assert server.stdout is not None
            server.stdout.readline()
        yield target, [server.pid for server in servers]


def _measured(target: str, pids: list[int], seconds: float) -> Round:
    return measure({target: pids}, seconds=seconds, connections=CONNECTIONS)[0]


def _print(results: dict[int, list[tuple[Round, Round]]], *, as_json: bool) -> None:
    machine = machine_name()
    if as_json:
        rounds = {
            workers: [{"retriever": asdict(own), "echo": asdict(echo)} for own, echo in pairs]
            for workers, pairs in results.items()
        }
        print(json.dumps({"machine": machine, "workers": rounds}, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.title = f"{machine}; {CONNECTIONS} connections, a call at a time on each; medians of rounds"
    for column in (
        "workers", "calls/s", "echo", "ratio", "(lowest..highest)", "CPU µs a call", "echo", "ratio",
        "p99 ms", "echo",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for workers, pairs in results.items():
        own, echo = ([pair[side] for pair in pairs] for side in (0, 1))
        ratios = [a.calls_per_second / b.calls_per_second for a, b in pairs]
        cpu = [a.cpu_microseconds / b.cpu_microseconds for a, b in pairs]
        table.add_row(
            str(workers),
            f"{np.median([a.calls_per_second for a in own]):,.0f}",
            f"{np.median([b.calls_per_second for b in echo]):,.0f}",
            f"{np.median(ratios):.2f}",
            f"{min(ratios):.2f}..{max(ratios):.2f}",
            f"{np.median([a.cpu_microseconds for a in own]):.0f}",
            f"{np.median([b.cpu_microseconds for b in echo]):.0f}",
            f"{np.median(cpu):.2f}",
            f"{np.median([a.p99_milliseconds for a in own]):.2f}",
            f"{np.median([b.p99_milliseconds for b in echo]):.2f}",
        )
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(terminal.run(main))
