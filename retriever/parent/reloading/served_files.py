"""Whether the files of the version that serves are still those that were verified.

Who has a file mapped keeps it, whatever takes its place, but a worker that comes later would map what
is there then. So it gets none but verified files: what has changed is verified anew first.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lightfm_retriever.hosting import words
from lightfm_retriever.publication import layout
from retriever import failures, version_files
from retriever.failures import Failure
from retriever.version_files import Files

_log = logging.getLogger(__name__)

_AGAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Served:
    """A version, and its files as they were when they were verified, or as they were found.

    `problem` says why they can't be looked at; then nothing is known of them.
    """

    version: str
    files: Files
    problem: str = ""


class ServedFiles:
    """Knows what was verified, what was found since, and what came of verifying that.

    `look` may be called on any thread, all else on one.
    """

    def __init__(self, volume: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._volume = volume
        self._clock = clock
        self._verified: Served | None = None
        # None when all that is known is that they changed.
        self._found: Files | None = {}
        # Whether that can't be served, or not be verified before then; and why.
        self._refused = False
        self._again_at = math.inf
        self._reason = ""
        self._unseen = ""

    @property
    def files(self) -> Files:
        """Those that were verified."""
        return {} if self._verified is None else self._verified.files

    @property
    def sound(self) -> bool:
        """Whether a worker may map them."""
        return self._found == self.files

    @property
    def refused(self) -> bool:
        """Whether what is there now was verified, and is wrong."""
        return not self.sound and self._refused and self._again_at == math.inf

    @property
    def wants_verification(self) -> bool:
        """Whether what is there now may be good, and nobody knows."""
        if self.sound:
            return False
        return not self._refused or self._clock() >= self._again_at

    def problem(self) -> str:
        """What is wrong with them; empty while they are verified, or are verified anew."""
        if self._unseen and not self._reason and self._verified is not None:
            return (
                f"the files of {self._verified.version}, which serves, can't be looked at: "
                f"{self._unseen}; a worker that restarts can't map them"
            )
        return self._reason

    def serve(self, version: str, files: Files) -> None:
        """Take in that a version serves, or was verified anew, and how its files were then."""
        self._verified = Served(version, files)
        self._found = files
        self._accept()

    def end(self) -> None:
        """Take in that nothing serves."""
        self._verified, self._found, self._reason, self._unseen = None, {}, "", ""
        self._accept()

    def refuse(self, failure: Failure) -> None:
        """Take in that what was found isn't good, or couldn't be verified and is again later."""
        told = "files changed"
        if self._found is not None:
            told = version_files.difference(self.files, self._found) or told
        version = "" if self._verified is None else self._verified.version
        text = (
            f"{told} in {version}, which serves: {failure.reason}; workers that have its files mapped "
            "go on, others take no calls: put the files back, or move the label"
        )
        text = failures.cut(text)
        if text != self._reason:
            _log.error("%s", text)
        seconds = _AGAIN_SECONDS if failure.passing else math.inf
        self._refused, self._again_at, self._reason = True, self._clock() + seconds, text

    def look(self) -> Served | None:
        """See what is there now; None when nothing serves."""
        verified = self._verified
        if verified is None:
            return None
        try:
            files = version_files.look(
                layout.version_dir(self._volume, verified.version), verified.files
            )
        except OSError as error:
            return Served(verified.version, {}, words.reason(error))
        return Served(verified.version, files)

    def found(self, served: Served | None) -> None:
        """Take in what `look` saw."""
        if served is None or self._verified is None or served.version != self._verified.version:
            return
        self._unseen = served.problem
        if not served.problem and served.files != self._found:
            self._found, self._refused = served.files, False
            if self.sound:
                self._accept()

    def doubt(self) -> None:
        """Take in that a worker found them changed, which no look has seen yet."""
        if self.sound and self._verified is not None:
            self._found, self._refused = None, False

    def _accept(self) -> None:
        if self._reason and self._verified is not None:
            _log.info("the files of %s are right", self._verified.version)
        self._refused, self._again_at, self._reason = False, math.inf, ""
