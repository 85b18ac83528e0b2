"""Verify versions one after the other on a separate thread, since this may take long or never end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from lightfm_retriever.hosting.process import Awaited, make_way
from retriever.version_files import Files

# A cancelled verification ends within this time, unless it hangs in the kernel.
_MOMENT_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


@dataclass
class Verification:
    """One verification. After its end, `problem` is the error, or `files` are the verified files."""

    version: str
    wanted: Awaited
    problem: Exception | None = None
    files: Files = field(default_factory=dict)


class Verifications:
    """Run one verification at a time. At most one more waits. All calls come from one thread.

    `verify` may raise any error. It should end soon after it is cancelled. `wake_up` is called on
    another thread when a verification has ended.
    """

    def __init__(
        self,
        verify: Callable[[str, Awaited], Files],
        wake_up: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verify = verify
        self._wake_up = wake_up
        self._clock = clock
        self._running: Verification | None = None
        self._waiting: Verification | None = None
        self._begun: SimpleQueue[Verification] = SimpleQueue()
        self._ended: SimpleQueue[Verification] = SimpleQueue()
        # Whether the running verification was cancelled, so that its result doesn't count.
        self._abandoned = False
        # Start it now: starting a thread without enough memory may never return.
        threading.Thread(target=self._verify_what_is_begun, name="verify", daemon=True).start()

    def begin(self, version: str) -> None:
        """Verify this version only: cancel any other verification."""
        self.abandon()
        self._waiting = Verification(version, Awaited(clock=self._clock))
        self._begin_next()

    def abandon(self) -> None:
        """Cancel the running verification, and forget the waiting one."""
        self._waiting = None
        if self._running is not None and not self._abandoned:
            self._abandoned = True
            self._running.wanted.end()

    def result(self) -> Verification | None:
        """Return the verification that has ended, unless it was cancelled. Starts the waiting one."""
        result = None
        while not self._ended.empty():
            ended = self._ended.get()
            if not self._abandoned:
                result = ended
            self._running, self._abandoned = None, False
        self._begin_next()
        return result

    @property
    def busy(self) -> bool:
        """Return whether a verification is running or waiting."""
        return self._running is not None or self._waiting is not None

    def problem(self) -> str:
        """Return that a cancelled verification still runs and blocks the next one; else empty."""
        if self._running is None or (ended_at := self._running.wanted.ended_at) is None:
            return ""
        seconds = self._clock() - ended_at
        if seconds < _MOMENT_SECONDS:
            return ""
        # In steps of 5 s, so that the text doesn't change all the time.
        return (
            f"no version can be verified: the verification of {self._running.version} was cancelled "
            f"{seconds // 5 * 5:.0f} s ago, but still waits for a volume that doesn't respond"
        )

    def _begin_next(self) -> None:
        if self._running is None and self._waiting is not None:
            self._running, self._waiting = self._waiting, None
            self._begun.put(self._running)

    def _verify_what_is_begun(self) -> None:
        make_way()
        while True:
            running = self._begun.get()
            try:
                running.files = self._verify(running.version, running.wanted)
            except Exception as error:
                running.problem = error
            self._tell(running)

    def _tell(self, ended: Verification) -> None:
        while True:
            try:
                self._ended.put(ended)
                self._wake_up()
            except MemoryError:
                # Try again: otherwise the verification would seem to run forever.
                time.sleep(_PAUSE_SECONDS)
            else:
                return
