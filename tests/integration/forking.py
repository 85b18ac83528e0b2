"""A process that forks a child for each request, for tests that kill the children, and our end of it.

Each line of its standard input is a request. Standard output gets `{"pid": ...}` once the child runs,
and when it has ended `{"status": ..., "error": ...}`: its exit status, negative for a signal, and the
error that it ended with.

Forking from a process that has imported everything takes a millisecond, starting one half a second.
Such a process has a single thread and does nothing itself, or forking would not be safe.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def answer(**fields: Any) -> None:
    """Tell our end."""
    # Parent and child write to the same pipe: a line at once, or they might mix.
    os.write(1, json.dumps(fields).encode() + b"\n")


def serve(request: type[Any], work: Callable[[Any, int], None], *errors: type[Exception]) -> None:
    """Fork a child for each request, which has a field `file_limit`: the most bytes of a file.

    Args:
        request: made of the fields that were sent.
        work: what the child does; what it writes to the pipe, as JSON, is told at its end.
        errors: that a child may end with.
    """
    for line in sys.stdin:
        wanted = request(**json.loads(line))
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            answer(pid=os.getpid())
            if wanted.file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (wanted.file_limit, resource.RLIM_INFINITY))
            try:
                work(wanted, writer)
            except errors as error:
                told = {"error": type(error).__name__, "message": str(error)}
                os.write(writer, json.dumps(told).encode())
                os._exit(1)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            told = json.loads(pipe.read() or "{}")
        _, status = os.waitpid(child, 0)
        answer(status=os.waitstatus_to_exitcode(status), **told)


class Forker:
    """Sends requests to such a process, and hears what becomes of them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, volume: Path, **request: Any) -> int:
        """Let a child begin, and return its process id."""
        print(json.dumps({"volume": str(volume), **request}), file=self._process.stdin, flush=True)
        return self._answer()["pid"]

    def wait(self) -> dict[str, Any]:
        """Wait for the child to end."""
        return self._answer()

    def run(self, volume: Path, **request: Any) -> dict[str, Any]:
        self.start(volume, **request)
        return self.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        assert line, f"{self._process.args} ended: {self._process.wait()}"
        return json.loads(line)

    @classmethod
    @contextmanager
    def of(cls, module: str) -> Iterator[Any]:
        """Run a module; it ends with the block."""
        # Threads of numpy and of LightFM would make forking unsafe.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", module]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=ROOT, env=environment, **streams) as process:
            try:
                yield cls(process)
                process.stdin.close()
                assert process.wait(timeout=30) == 0
            finally:
                process.kill()
