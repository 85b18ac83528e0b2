"""Watch the label on a separate thread, so that a volume that hangs doesn't block anything else."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import PublicationError, VolumeError, says_nothing
from retriever import failures, version_files
from retriever.parent.reloading.served_files import Served

Fingerprint = tuple[object, ...]


@dataclass(frozen=True)
class Seen:
    """The result of one look at the volume.

    Attributes:
        target: the version to serve, None when the label can't be read.
        problem: why the label can't be read; empty when it can.
        fingerprint: changes when any file of the target changes, appears or vanishes.
        served: state of the files of the served version, None when unknown.
    """

    target: str | None
    problem: str = ""
    fingerprint: Fingerprint = ()
    served: Served | None = None


def look(volume: Path, label: str, pin: str | None) -> Seen:
    """Look at the version that a label names, or at a pinned version. It needn't exist."""
    try:
        target = pin or labels.read_label(volume, label)
    except PublicationError as error:
        return Seen(None, str(error))
    directory = layout.version_dir(volume, target)
    try:
        return Seen(target, "", fingerprint(directory))
    except VolumeError as error:
        return Seen(None, str(error))


class LabelWatch:
    """Look at the volume every `poll_seconds`, and at once on request."""

    def __init__(
        self,
        looker: Callable[[], Seen],
        report: Callable[[Seen], None],
        *,
        poll_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call `looker` for each look, and `report` with its result, on the watching thread."""
        self._look = looker
        self._report = report
        self._poll_seconds = poll_seconds
        self._now = threading.Event()
        self._clock = clock
        self._looked_at = clock()

    def start(self) -> None:
        """Start to look, until the process ends."""
        threading.Thread(target=self._run, name="label-watch", daemon=True).start()

    def look_now(self) -> None:
        """Look at once."""
        self._now.set()

    def silence(self) -> str:
        """Return for how long the volume hasn't answered; empty while it does."""
        seconds = self._clock() - self._looked_at
        limit = 5 + 2 * self._poll_seconds
        # In steps of 5 s, so that the text doesn't change all the time.
        return f"the volume hasn't answered for {seconds // 5 * 5:.0f} s" if seconds > limit else ""

    def _run(self) -> None:
        while True:
            self._now.clear()
            try:
                seen = self._look()
            except Exception as error:
                # If this thread ended, the service would never notice another version.
                seen = Seen(None, failures.of_error(error).reason)
            self._looked_at = self._clock()
            self._report(seen)
            # Jitter keeps many hosts from reading one volume at the same moments.
            self._now.wait(self._poll_seconds * random.uniform(0.9, 1.1))  # noqa: S311


def fingerprint(directory: Path) -> Fingerprint:
    """Return a value that changes when any file of a directory changes.

    Raises VolumeError if the state of the files can't be found out.
    """
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        return (_without(directory, error),)
    facts: list[object] = []
    for path in paths:
        try:
            facts.append((path.name, version_files.state_of(path)))
        except OSError as error:
            # A file that can't be read must not hide changes of other files.
            facts.append((path.name, _without(path, error)))
    return tuple(facts)


def _without(path: Path, error: OSError) -> int | None:
    """Return the error number of a missing or forbidden file. Raises VolumeError for other errors."""
    if says_nothing(error) and error.errno != errno.EACCES:
        raise VolumeError(path, error.strerror or str(error)) from error
    return error.errno
