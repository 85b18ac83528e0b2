"""Measures how many calls are answered during a rapid-reset attack by a caller without a token.

With two cores, the services and the attacker each have their own.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.security.settings import ClientSecurity
from tests.envoy import Envoy
from tests.load.models import USER_IDS
from tests.service import PATIENCE, Service

_TOKEN = "0123456789abcdef" * 4
_CALLERS = 2
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


@dataclass(frozen=True)
class Front:
    """The target of an attack, a worker or Envoy, and the number of attacking connections."""

    name: str
    connections: int
    envoy: bool


FRONTS = (Front("a worker", 1, envoy=False), Front("Envoy", 5, envoy=True))


@dataclass(frozen=True)
class Measured:
    """The result of an attack."""

    # Numbers of answered calls, in equal times.
    before: int
    during: int
    failed: Counter[str]  # gRPC codes of the failed calls
    attack: str  # the attacker's own summary

    @property
    def outcome(self) -> str:
        """The result in words. Begins with "wrong" if calls failed or none was answered."""
        wrong = "wrong: " if self.failed or not self.during else ""
        share = self.during / max(1, self.before)
        failed = f", {dict(self.failed)} failed" if self.failed else ", none failed"
        return f"{wrong}{self.attack}: {share:.0%} of the calls without the attack{failed}"


def outcomes(volume: Path, directory: Path, seconds: float) -> list[tuple[str, str]]:
    """Attack each front. Returns pairs of a name and a result, for a campaign."""
    return [
        (f"rapid reset of {front.name}", measure(front, volume, directory, seconds).outcome)
        for front in FRONTS
    ]


def measure(front: Front, volume: Path, directory: Path, seconds: float) -> Measured:
    """Count answered calls without an attack and then during one, for `seconds` each."""
    with _attacked(front, volume, directory) as target:
        before, failed = _call(target, seconds)
        command = [*_on_core(0), sys.executable, "-m", "tests.load.rapid_reset", target]
        command += [str(seconds), str(front.connections)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attack:
            assert attack.stdout is not None
            # The attacker prints a line when it begins. It ends by itself.
            attack.stdout.readline()
            during, failed_during = _call(target, seconds)
            said = attack.stdout.read().strip()
    return Measured(before, during, failed + failed_during, said)


@contextlib.contextmanager
def _attacked(front: Front, volume: Path, directory: Path) -> Iterator[str]:
    tokens = directory / "tokens"
    tokens.write_text(f"{_TOKEN}\n")
    flags = {"workers": 1, "drain_seconds": 0, "token_file": tokens}
    security = ClientSecurity(token=_TOKEN)
    log = directory / "attacked.log"
    with Service(volume, log, prefix=_on_core(1), security=security, **flags) as service:
        service.wait_until(lambda status: status.version and status.workers[0].version)
        if not front.envoy:
            yield service.target
            return
        with Envoy([service.target], directory) as envoy:
            envoy.wait_for(lambda: envoy.healthy() == {service.target})
            yield envoy.target


def _call(target: str, seconds: float) -> tuple[int, Counter[str]]:
    """Call with a token, without retries. Returns the number of answers, and the codes of failures."""
    end = threading.Event()
    request = pb.RecommendRequest(user_id=USER_IDS[0])
    metadata = [("authorization", f"Bearer {_TOKEN}")]

    def call() -> Counter[str]:
        codes: Counter[str] = Counter()
        with grpc.insecure_channel(target, options=_OPTIONS) as channel:
            stub = pb_grpc.RetrieverServiceStub(channel)
            while not end.is_set():
                try:
                    stub.Recommend(request, metadata=metadata, timeout=PATIENCE)
                    codes["OK"] += 1
                except grpc.RpcError as error:
                    codes[error.code().name] += 1
        return codes

    with ThreadPoolExecutor(_CALLERS) as pool:
        calling = [pool.submit(call) for _ in range(_CALLERS)]
        time.sleep(seconds)  # this is the duration of the measurement
        end.set()
        codes = sum((each.result() for each in calling), Counter[str]())
    return codes.pop("OK", 0), codes


def _on_core(number: int) -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    return [] if len(cores) < 2 else ["taskset", "-c", str(cores[number])]
