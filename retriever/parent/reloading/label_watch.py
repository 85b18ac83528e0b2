"""Looks at the volume, again and again, on a thread of its own: one that hangs stops nobody else."""

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
    """What one look at the volume showed.

    Attributes:
        target: the version to serve, None when the label can't be read.
        problem: why it can't; empty when it can.
        fingerprint: changes when any file of the target does: content, rights, or that it is there.
        served: how the files are of what serves, None when that isn't known.
    """

    target: str | None
    problem: str = ""
    fingerprint: Fingerprint = ()
    served: Served | None = None


def look(volume: Path, label: str, pin: str | None) -> Seen:
    """See what a label names, or a pinned version, whether or not that version exists."""
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
    """Looks every `poll_seconds`, and at once when asked."""

    def __init__(
        self,
        looker: Callable[[], Seen],
        report: Callable[[Seen], None],
        *,
        poll_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`looker` looks; `report` is called on the watching thread with what each look showed."""
        self._look = looker
        self._report = report
        self._poll_seconds = poll_seconds
        self._now = threading.Event()
        self._clock = clock
        self._looked_at = clock()

    def start(self) -> None:
        """Look for the first time, and from then on, until the process ends."""
        threading.Thread(target=self._run, name="label-watch", daemon=True).start()

    def look_now(self) -> None:
        """Look without waiting for the next time."""
        self._now.set()

    def silence(self) -> str:
        """Says how long the volume hasn't answered; empty while it does."""
        seconds = self._clock() - self._looked_at
        limit = 5 + 2 * self._poll_seconds
        # In steps, so that it doesn't change all the time.
        return f"the volume hasn't answered for {seconds // 5 * 5:.0f} s" if seconds > limit else ""

    def _run(self) -> None:
        while True:
            self._now.clear()
            try:
                seen = self._look()
            except Exception as error:
                # A thread that ends would leave the service deaf.
                seen = Seen(None, failures.of_error(error).reason)
            self._looked_at = self._clock()
            self._report(seen)
            # Jitter keeps many hosts from reading one volume at the same moments.
            self._now.wait(self._poll_seconds * random.uniform(0.9, 1.1))  # noqa: S311


def fingerprint(directory: Path) -> Fingerprint:
    """Changes when any file of a directory does; raises VolumeError where nothing can be told."""
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        return (_without(directory, error),)
    facts: list[object] = []
    for path in paths:
        try:
            facts.append((path.name, version_files.state_of(path)))
        except OSError as error:
            # One that can't be looked at hides no other.
            facts.append((path.name, _without(path, error)))
    return tuple(facts)


def _without(path: Path, error: OSError) -> int | None:
    """What a file looks like that isn't there or may not be read; else raises VolumeError."""
    if says_nothing(error) and error.errno != errno.EACCES:
        raise VolumeError(path, error.strerror or str(error)) from error
    return error.errno
