"""Check whether the files of the served version are still the verified files.

A worker that has mapped a file keeps it, even if another file replaces it. But a worker that starts
later would map the new file. So changed files are verified again before a worker may map them.
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
    """The served version and the state of its files, or why they can't be checked."""

    version: str
    files: Files
    problem: str = ""


@dataclass(frozen=True)
class ServedFiles:
    """The verified files, the files found since, and the result of verifying those.

    Attributes:
        version: the served version, None when there is none.
        files: the verified files.
        found: the files found since, None if it is only known that they changed.
        verify_at: when to verify the found files, unless they are the verified files.
        reason: why the found files can't be served; empty when they can, or when that is unknown.
        unseen: why the files can't be checked.
    """

    version: str | None = None
    files: Files = field(default_factory=dict)
    found: Files | None = field(default_factory=dict)
    verify_at: float = -math.inf
    reason: str = ""
    unseen: str = ""

    @property
    def sound(self) -> bool:
        """Return whether a worker may map the files."""
        return self.found == self.files

    def problem(self) -> str:
        """Return what is wrong with the files; empty when nothing is, or while it isn't known yet."""
        if self.unseen and not self.reason:
            return (
                f"the files of the served version {self.version} can't be checked: {self.unseen}; a "
                "worker that restarts can't map them"
            )
        return self.reason

    def look(self, volume: Path) -> Served | None:
        """Look at the files; None when no version is served."""
        if self.version is None:
            return None
        try:
            files = version_files.look(layout.version_dir(volume, self.version), self.files)
        except OSError as error:
            return Served(self.version, {}, words.reason(error))
        return Served(self.version, files)

    # ---- what happens

    def verified(self, version: str, files: Files) -> ServedFiles:
        """Record that a version is served or was verified again, and the state of its files."""
        return ServedFiles(version, files, files, unseen=self.unseen)

    def refused(self, failure: Failure, now: float) -> ServedFiles:
        """Record that the found files are invalid, or couldn't be verified and will be again later."""
        told = "files changed"
        if self.found is not None:
            told = version_files.difference(self.files, self.found) or told
        reason = (
            f"{told} in the served version {self.version}: {failure.reason}; workers that have mapped "
            "its files continue, restarted ones take no calls: restore the files, or move the label"
        )
        seconds = _AGAIN_SECONDS if failure.passing else math.inf
        return replace(self, verify_at=now + seconds, reason=failures.cut(reason))

    def looked(self, served: Served | None) -> ServedFiles:
        """Record the result of `look`."""
        if served is None or served.version != self.version:
            return self
        files = replace(self, unseen=served.problem)
        if served.problem or served.files == self.found:
            return files
        files = replace(files, found=served.files, verify_at=-math.inf)
        return replace(files, reason="") if files.sound else files

    def doubted(self) -> ServedFiles:
        """Record that a worker found changed files that no look has seen yet."""
        return replace(self, found=None, verify_at=-math.inf) if self.sound else self
