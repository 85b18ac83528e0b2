"""Raw throughput by h2load: one Recommend again and again, as many as possible at the same time.

h2load knows HTTP/2 and nothing of gRPC, so the request is a file made here: the framed bytes of one
call. It costs the machine far less than a client in Python or k6, so more of it is left to the
retriever. To h2load a refusal is an answer too, since gRPC's status comes in a trailer, so what the
workers counted is printed beside. It is a closed loop: for latencies at a given rate use k6.

Without --target a retriever is started on a free port and stopped at the end; it serves --volume, or a
version made up for it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from rich.console import Console

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication.errors import PublicationError
from tests.load import k6_results
from tests.load.target import CALL_SECONDS, LoadError, Target, known_of, retriever, words
from tests.machine import machine_name

PATH = "/recsys.retriever.v1.RetrieverService/Recommend"
# A connection that is silent for so long ends the run.
_SILENT_SECONDS = 5
_LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Raw:
    """What h2load counted and timed; latency as it prints it, with its unit."""

    calls_per_second: float
    answered: int
    failed: int
    mean_latency: str
    max_latency: str


def main(arguments: list[str] | None = None) -> int:
    """Run it; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        h2load = find()
        with retriever(options.target, options.volume, workers=options.workers) as (target, volume):
            return _run(h2load, target, volume, options)
    except (LoadError, PublicationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.load.h2load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--target", metavar="HOST:PORT", help="a retriever that runs")
    add("--volume", type=Path, help="what to serve, or what --target serves, for an id it knows")
    add("--user-id", help="whom to ask for (default: one that the volume has)")
    add("--workers", type=int, default=2, help="of the retriever that is started (default: 2)")
    add("--calls", type=int, default=20_000, help="altogether (default: 20000)")
    add("--connections", type=int, default=16, help="default: 16")
    add("--streams", type=int, default=1, help="calls at a time on each (default: 1)")
    add("--json", action="store_true", help="print the result as JSON")
    return parser


def find() -> str:
    """Where h2load is; LoadError when it isn't installed."""
    found = shutil.which("h2load")
    if found is None:
        raise LoadError("h2load isn't installed: apt-get install nghttp2-client")
    return found


def framed(request: pb.RecommendRequest) -> bytes:
    """A request as gRPC sends it: not compressed, its length, its bytes."""
    content = request.SerializeToString()
    return struct.pack(">BI", 0, len(content)) + content


def command(h2load: str, address: str, body: Path, options: argparse.Namespace) -> list[str]:
    """How h2load is called; fit for a shell too."""
    return [
        h2load,
        f"--requests={options.calls}",
        f"--clients={options.connections}",
        f"--max-concurrent-streams={options.streams}",
        f"--connection-inactivity-timeout={_SILENT_SECONDS}",
        f"--data={body}",
        "--header=content-type: application/grpc",
        "--header=te: trailers",
        f"http://{address}{PATH}",
    ]


def _run(h2load: str, target: Target, volume: Path | None, options: argparse.Namespace) -> int:
    before = target.check()
    users = [options.user_id] if options.user_id else known_of(target, volume, [before.version]).users
    if not users:
        raise LoadError(f"{target.address} knows no user of MovieLens: name one by --user-id")
    request = pb.RecommendRequest(user_id=users[0])
    try:
        target.stub.Recommend(request, timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        raise LoadError(
            f"{target.address} answers for user {users[0]!r} with {words(error)}"
        ) from error
    with tempfile.TemporaryDirectory() as temporary:
        body = Path(temporary) / "recommend.grpc"
        body.write_bytes(framed(request))
        raw = measure(command(h2load, target.address, body, options))
    try:
        after = target.status_after(before, raw.answered)
    except grpc.RpcError as error:
        raise LoadError(f"{target.address} stopped answering: {words(error)}") from error
    workers = k6_results.workers(before, after)
    machine = machine_name()
    if options.json:
        content = {"machine": machine, **asdict(raw), "workers": [asdict(each) for each in workers]}
        print(json.dumps(content, indent=2))
    else:
        console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
        console.print(
            f"h2load: {options.connections} connections, {options.streams} calls at a time on each, "
            f"{len(workers)} workers; {machine}\n{raw.calls_per_second:,.0f} calls a second, "
            f"{raw.answered:,} answered, {raw.failed:,} failed; latency: mean {raw.mean_latency}, "
            f"longest {raw.max_latency}",
            soft_wrap=True,
        )
        k6_results.print_workers(console, workers)
        if any(worker.refused for worker in workers):
            console.print("refused calls cost less than answered ones: take fewer --streams")
    if raw.failed:
        raise LoadError(f"{raw.failed} calls failed")
    return 0


def measure(called: list[str]) -> Raw:
    """Run h2load; LoadError when it doesn't measure anything."""
    try:
        done = subprocess.run(
            called, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"h2load took longer than {_LONGEST_SECONDS} s: fewer --calls") from error
    if done.returncode:
        raise LoadError(f"h2load ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return parse(done.stdout)


def parse(text: str) -> Raw:
    """What h2load printed."""
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", text)
    counts = re.search(r"requests: (\d+) total, .* (\d+) succeeded, ", text)
    times = re.search(r"time for request: +(\S+) +(\S+) +(\S+)", text)
    if rate is None or counts is None or times is None:
        raise LoadError(f"h2load printed what isn't understood: {text[-200:]!r}")
    total, answered = map(int, counts.groups())
    return Raw(float(rate[1]), answered, total - answered, times[3], times[2])


if __name__ == "__main__":
    sys.exit(terminal.run(main))
