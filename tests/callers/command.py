"""Clients in several languages that call again and again, and count how their calls end."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from google.protobuf.message import Message

Language = Literal["python", "node", "java"]
LANGUAGES: tuple[Language, ...] = ("python", "node", "java")

_HERE = Path(__file__).parent
_JARS = Path("/usr/share/java")
_NEEDED = ("grpc-api", "grpc-context", "grpc-core", "grpc-netty", "grpc-stub", "gson", "guava")


def missing(language: Language) -> str:
    """Return what has to be installed for a language; empty for nothing. `make callers` installs it."""
    if language == "node":
        if shutil.which("node") is None or not (_HERE / "node_modules/@grpc/grpc-js").is_dir():
            return "there is no Node with grpc-js: `make callers` installs it"
    elif language == "java":
        jars = [*(_JARS / f"{name}.jar" for name in _NEEDED), _JARS / "netty-all.jar"]
        if shutil.which("java") is None or not all(jar.is_file() for jar in jars):
            return "there is no Java with gRPC: `make callers` installs it"
    return ""


@dataclass(frozen=True)
class Caller:
    """A client: it prints a line when its first call has ended, and the counts when its input has."""

    process: subprocess.Popen[str]

    def wait_until_it_calls(self) -> None:
        """Wait until its first call has ended."""
        line = self._line()
        if line != "began\n":
            raise RuntimeError(f"the caller said {line!r}")

    def stop(self) -> Mapping[str, int]:
        """Return how many calls ended with each code, when all have."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        counts: Mapping[str, int] = json.loads(self._line())
        return counts

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def calling(
    language: Language, target: str, method: str, request: Message, *, config: str, waits: bool
) -> Iterator[Caller]:
    """Start a client of "host:port" that calls "/package.Service/Method", and end it after the block.

    `config` is the path of a gRPC service config, or empty; `waits` says whether each call is told to
    wait for a connection.
    """
    data = base64.b64encode(request.SerializeToString()).decode()
    command = [*_program(language), target, method, data, config, "wait" if waits else ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Caller(process)
        finally:
            process.kill()


def _program(language: Language) -> list[str]:
    if language == "python":
        return [sys.executable, str(_HERE / "caller.py")]
    if language == "node":
        return ["node", str(_HERE / "caller.js")]
    names = [*(f"{name}.jar" for name in _NEEDED), "netty-*.jar", "perfmark-*.jar"]
    jars = [str(jar) for name in names for jar in sorted(_JARS.glob(name))]
    return ["java", "-cp", ":".join(jars), str(_HERE / "Caller.java")]
