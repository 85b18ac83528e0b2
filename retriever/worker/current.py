"""The snapshot that serves now."""

from __future__ import annotations

from retriever.answering.snapshot import Snapshot
from retriever.errors import NothingLoadedError


class CurrentSnapshot:
    """Holds one snapshot, swapped as a whole.

    Reading and writing one attribute is atomic in CPython, so calls need no lock: each sees the old
    snapshot or the new one.
    """

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None

    def get(self) -> Snapshot:
        """The snapshot for one request; NothingLoadedError when there is none."""
        snapshot = self._snapshot
        if snapshot is None:
            raise NothingLoadedError("none was committed")
        return snapshot

    def swap(self, snapshot: Snapshot) -> None:
        """Serve another snapshot from now on."""
        self._snapshot = snapshot

    @property
    def version(self) -> str:
        """The version that serves; empty while there is none."""
        snapshot = self._snapshot
        return "" if snapshot is None else snapshot.version
