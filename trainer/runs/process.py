"""Starts, reads and ends the process of a training run, for the service."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lightfm_retriever.files.regular_files import create_regular, read_regular
from trainer.runs import child_events
from trainer.runs.child import Task
from trainer.runs.child_events import Event

_LOG_TAIL_BYTES = 2000


class RunProcess:
    """The process of one training run. Its output, without the events, goes to a log file.

    The kernel kills the process when the thread that started it ends.
    """

    def __init__(self, task: Task, log: Path) -> None:
        self._log = log
        with create_regular(log) as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer.runs.child", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # A process group of its own keeps Ctrl-C in the service's terminal from the process.
                process_group=0,
            )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self.pid = self._process.pid
        # The process may be dead already. Then its events end at once.
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(msgspec.json.encode(task))

    def events(self) -> Iterator[Event]:
        """Yield the process's events until it ends. Skips a line that the end cut off."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as lines:
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError):
                    yield child_events.decode(line)

    def kill(self) -> None:
        """Kill the process and its children at once."""
        # After `wait`, another process may have this process id.
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> str:
        """Wait for the end of the process. Returns in words how it ended."""
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return "its process was killed (signal 9): perhaps there wasn't enough memory"
        if status < 0:
            return f"its process crashed (signal {-status})" + self._said()
        return f"its process ended with exit status {status}" + self._said()

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            tail = read_regular(self._log)[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
            if tail:
                return f"; the last line of its log: {tail.splitlines()[-1]}"
        return ""
