"""The versions that couldn't be loaded, and the one that isn't tried again for now."""

from __future__ import annotations

import math
import time

from retriever.control import FailedVersion
from retriever.label_watch import Fingerprint, Seen

_MAX_FAILED = 20


class FailedVersions:
    """What failed, and why.

    Attributes:
        by_name: the latest last.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, FailedVersion] = {}
        # The version that isn't tried again as long as it looks like this, or before then.
        self._blocked: tuple[str, Fingerprint] | None = None
        self._again_at = math.inf

    def add(
        self, version: str, reason: str, fingerprint: Fingerprint, *, again_after: float = math.inf
    ) -> bool:
        """Don't try a version until it or the label changes, or so many seconds are over.

        Returns:
            Whether that is news: it didn't fail before, or for another reason.
        """
        self._blocked = (version, fingerprint)
        self._again_at = time.monotonic() + again_after
        before = self.by_name.pop(version, None)
        self.by_name[version] = FailedVersion(version, reason, time.time())
        while len(self.by_name) > _MAX_FAILED:
            del self.by_name[next(iter(self.by_name))]
        return before is None or before.reason != reason

    def look(self, seen: Seen) -> None:
        """Take in what a look at the volume showed: what changed may be tried again."""
        changed = seen.target is not None and self._blocked != (seen.target, seen.fingerprint)
        if changed or time.monotonic() >= self._again_at:
            self._blocked = None

    def block(self, version: str | None) -> bool:
        """Whether this version isn't to be tried now."""
        return self._blocked is not None and self._blocked[0] == version

    def served(self, version: str) -> None:
        """It is none any more."""
        self.by_name.pop(version, None)
