"""Verifies versions one after the other on a thread, since it may take long or never end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from lightfm_retriever.hosting.process import Awaited, make_way
from retriever.version_files import Files

# What was ended is gone a moment later, unless it hangs in the kernel.
_MOMENT_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


@dataclass
class Verification:
    """One that was begun; once it ended, `problem` is what was wrong, or `files` what was verified."""

    version: str
    wanted: Awaited
    problem: Exception | None = None
    files: Files = field(default_factory=dict)


class Verifications:
    """At most one runs, and at most one waits for the end of that. Called on one thread.

    `verify` may raise anything, and ends soon when it isn't wanted any more. `wake_up` is called on
    another thread when there is news.
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
        # Whether nobody asks for the result of the one that runs.
        self._abandoned = False
        # Now: one whose start lacks memory later may never return.
        threading.Thread(target=self._verify_what_is_begun, name="verify", daemon=True).start()

    def begin(self, version: str) -> None:
        """Verify this version, and no other one."""
        self.abandon()
        self._waiting = Verification(version, Awaited(clock=self._clock))
        self._begin_next()

    def abandon(self) -> None:
        """End the one that runs, and forget the one that waits."""
        self._waiting = None
        if self._running is not None and not self._abandoned:
            self._abandoned = True
            self._running.wanted.end()

    def result(self) -> Verification | None:
        """The one that ended since, unless it was abandoned; begins the one that waited for its end."""
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
        """Whether one runs or waits."""
        return self._running is not None or self._waiting is not None

    def problem(self) -> str:
        """Says that one that was ended goes on, and keeps others from being begun; else empty."""
        if self._running is None or (ended_at := self._running.wanted.ended_at) is None:
            return ""
        seconds = self._clock() - ended_at
        if seconds < _MOMENT_SECONDS:
            return ""
        # In steps, so that it doesn't change all the time.
        return (
            f"no version can be verified: the verification of {self._running.version} was ended "
            f"{seconds // 5 * 5:.0f} s ago, but what it reads doesn't answer, so it goes on"
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
                # Else it would seem to go on for ever.
                time.sleep(_PAUSE_SECONDS)
            else:
                return
