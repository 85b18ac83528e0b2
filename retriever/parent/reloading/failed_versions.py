"""The versions that couldn't be loaded, and the one that isn't tried again for now."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from retriever.control import FailedVersion
from retriever.failures import Failure
from retriever.parent.reloading.label_watch import Fingerprint, Seen
from retriever.parent.reloading.version_policy import pause_seconds

_MAX_FAILED = 20


@dataclass(frozen=True)
class _Blocked:
    """A version that isn't tried again as long as it looks like this, or before then."""

    version: str
    fingerprint: Fingerprint
    attempts: int
    again_at: float


class FailedVersions:
    """What failed, and why.

    Args:
        clock: in seconds.
        chance: a number in 0..1, another one each time.

    Attributes:
        by_name: the latest last.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.by_name: dict[str, FailedVersion] = {}
        self._blocked: _Blocked | None = None
        self._readable = True
        self._clock = clock
        self._chance = chance

    def add(
        self, version: str, failure: Failure, fingerprint: Fingerprint, *, took: float
    ) -> float | None:
        """Don't try a version until it or the label changes; before that only what passes.

        Args:
            version: its name.
            failure: why it couldn't be loaded.
            fingerprint: what it looked like when that was begun.
            took: how long it took, in seconds.

        Returns:
            In how many seconds it is tried again; None when it isn't.
        """
        before = self._blocked
        again = before is not None and (before.version, before.fingerprint) == (version, fingerprint)
        attempts = before.attempts + 1 if before is not None and again else 1
        pause = math.inf
        if failure.passing:
            pause = pause_seconds(attempts, took=took, costly=failure.costly, chance=self._chance())
        self._blocked = _Blocked(version, fingerprint, attempts, self._clock() + pause)
        self.by_name.pop(version, None)
        self.by_name[version] = FailedVersion(version, failure.reason, time.time(), failure.passing)
        while len(self.by_name) > _MAX_FAILED:
            del self.by_name[next(iter(self.by_name))]
        return pause if failure.passing else None

    def look(self, seen: Seen) -> None:
        """Take in what a look at the volume showed: what changed may be tried at once.

        So may what passes when the label can be read again.
        """
        readable, self._readable = self._readable, seen.target is not None
        blocked = self._blocked
        if blocked is None or seen.target is None:
            return
        if not readable:
            self.retry_now()
        if (blocked.version, blocked.fingerprint) != (seen.target, seen.fingerprint):
            self._blocked = None

    def blocks(self, version: str | None) -> bool:
        """Whether this version isn't to be tried now."""
        blocked = self._blocked
        return blocked is not None and blocked.version == version and self._clock() < blocked.again_at

    def retry_now(self) -> None:
        """Let what passes be tried without waiting any longer."""
        blocked = self._blocked
        if blocked is not None and blocked.again_at < math.inf:
            self._blocked = _Blocked(
                blocked.version, blocked.fingerprint, blocked.attempts, self._clock()
            )

    def served(self, version: str) -> None:
        """It is none any more."""
        self.by_name.pop(version, None)
        if self._blocked is not None and self._blocked.version == version:
            self._blocked = None
