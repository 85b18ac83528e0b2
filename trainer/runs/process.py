"""A training run's process, as the service sees it."""

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
    """One process, which says in a log what it says besides its events.

    It must be started by a thread that lives as long: the kernel kills it when that thread ends.
    """

    def __init__(self, task: Task, log: Path) -> None:
        self._log = log
        with create_regular(log) as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer.runs.child", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Ctrl-C in the service's terminal is the service's to handle.
                process_group=0,
            )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self.pid = self._process.pid
        # It may have died already; that shows when its events end.
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(msgspec.json.encode(task))

    def events(self) -> Iterator[Event]:
        """What it tells, until it ends. A line that was cut off by its end is left out."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as lines:
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError):
                    yield child_events.decode(line)

    def kill(self) -> None:
        """End it and all that it started, at once."""
        # Once it was waited for, its number may be another's.
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> str:
        """Wait for its end; how it ended, in words."""
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
                return f"; it said last: {tail.splitlines()[-1]}"
        return ""
