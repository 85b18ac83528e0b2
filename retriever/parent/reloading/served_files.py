"""Whether the files of the version that serves are still those that were verified.

Who has a file mapped keeps it, whatever takes its place, but a worker that comes later would map what
is there then. So it gets none but verified files: what has changed is verified anew first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightfm_retriever.hosting import words
from lightfm_retriever.publication import layout
from retriever import failures, version_files
from retriever.failures import Failure
from retriever.version_files import Files

_AGAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Served:
    """The version that serves, and its files as they were found, or why they can't be looked at."""

    version: str
    files: Files
    problem: str = ""


@dataclass(frozen=True)
class ServedFiles:
    """What was verified, what was found since, and what came of verifying that.

    Attributes:
        version: the one that serves, None when none does.
        files: those that were verified.
        found: those that were found, None when all that is known is that they changed.
        verify_at: when to verify what was found, unless it is what was verified.
        reason: why what was found can't be served; empty when it can, or when nobody knows.
        unseen: why nothing can be found.
    """

    version: str | None = None
    files: Files = field(default_factory=dict)
    found: Files | None = field(default_factory=dict)
    verify_at: float = -math.inf
    reason: str = ""
    unseen: str = ""

    @property
    def sound(self) -> bool:
        """Whether a worker may map them."""
        return self.found == self.files

    def problem(self) -> str:
        """What is wrong with them; empty while they are verified, or are verified anew."""
        if self.unseen and not self.reason:
            return (
                f"the files of {self.version}, which serves, can't be looked at: {self.unseen}; a "
                "worker that restarts can't map them"
            )
        return self.reason

    def look(self, volume: Path) -> Served | None:
        """See what is there now; None when nothing serves."""
        if self.version is None:
            return None
        try:
            files = version_files.look(layout.version_dir(volume, self.version), self.files)
        except OSError as error:
            return Served(self.version, {}, words.reason(error))
        return Served(self.version, files)

    # ---- what happens

    def verified(self, version: str, files: Files) -> ServedFiles:
        """Take in that a version serves, or was verified anew, and how its files were then."""
        return ServedFiles(version, files, files, unseen=self.unseen)

    def refused(self, failure: Failure, now: float) -> ServedFiles:
        """Take in that what was found isn't good, or couldn't be verified and is again later."""
        told = "files changed"
        if self.found is not None:
            told = version_files.difference(self.files, self.found) or told
        reason = (
            f"{told} in {self.version}, which serves: {failure.reason}; workers that have its files "
            "mapped go on, others take no calls: put the files back, or move the label"
        )
        seconds = _AGAIN_SECONDS if failure.passing else math.inf
        return replace(self, verify_at=now + seconds, reason=failures.cut(reason))

    def looked(self, served: Served | None) -> ServedFiles:
        """Take in what `look` saw."""
        if served is None or served.version != self.version:
            return self
        files = replace(self, unseen=served.problem)
        if served.problem or served.files == self.found:
            return files
        files = replace(files, found=served.files, verify_at=-math.inf)
        return replace(files, reason="") if files.sound else files

    def doubted(self) -> ServedFiles:
        """Take in that a worker found them changed, which no look has seen yet."""
        return replace(self, found=None, verify_at=-math.inf) if self.sound else self
