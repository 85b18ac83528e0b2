"""All workers together, as a reload sees them."""

from __future__ import annotations

from collections.abc import Sequence

from retriever.parent.worker_process import WorkerProcess
from retriever.version_files import Files


class WorkerGroup:
    """What workers have and do is theirs; this asks and tells several of them."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        self._workers = workers

    def __len__(self) -> int:
        return len(self._workers)

    def down(self) -> int:
        """How many aren't there."""
        return sum(worker.state == "down" for worker in self._workers)

    def settled(self, committed: str | None, *, joinable: bool = True) -> list[WorkerProcess]:
        """Those that serve what is committed, which may be nothing, and have nothing else to do.

        Unless what is committed is `joinable` also those that wait to serve anything: else the next
        version would wait for workers that wait for it.
        """
        wanted = {committed} if joinable else {committed, None}
        return [worker for worker in self._workers if worker.idle and worker.version in wanted]

    def preparing(self, version: str) -> int:
        """How many were told to prepare a version and haven't answered."""
        return sum(worker.preparing == version for worker in self._workers)

    def prepared(self, version: str) -> list[WorkerProcess]:
        """Those that have prepared a version and wait to commit it."""
        return [worker for worker in self._workers if worker.prepared == version]

    def serves(self, version: str) -> bool:
        """Whether any worker serves a version, or is told to."""
        return any(version in (worker.version, worker.prepared) for worker in self._workers)

    def abandon(self, version: str) -> None:
        """Let none prepare a version; what others do is left alone."""
        for worker in self._workers:
            if version in (worker.preparing, worker.prepared):
                worker.abandon()

    def follow(self, committed: str | None, files: Files | None) -> None:
        """Let workers that booted later get what the others serve, and take calls once they do.

        Args:
            committed: what the others serve, which may be nothing.
            files: of that, as they were verified; None while nobody may map what is there.
        """
        for worker in self._workers:
            if committed and files is not None and worker.idle and worker.version != committed:
                worker.prepare(committed, files)
        for worker in self._workers:
            if worker.state == "booted" and worker.version == committed:
                worker.listen()
