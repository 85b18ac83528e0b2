"""Loading what the label names, in two steps, so that all workers change over together.

The parent verifies a version once; every worker prepares it; when all have, they are told to commit.
Any failure leaves every worker with what it serves, and the version isn't tried again until it or the
label changes. `version_policy` decides, this carries out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from publication import layout, reader
from publication.errors import PublicationError
from retriever import control
from retriever.version_policy import Action, Candidate, Observed, Step, decide
from retriever.worker_process import WorkerProcess

_log = logging.getLogger(__name__)

Fingerprint = tuple[object, ...]

# Reasons go to every worker, whose socket must have room for them.
_MAX_REASON = 1000


class Reload:
    """The state of reloading. Called by the supervisor on its one thread.

    Attributes:
        target: the version that the label names, None when it can't be read.
        label_problem: why it can't.
        committed: the version that serves.
        last: what became of the latest attempt.
    """

    def __init__(self, volume: Path, workers: list[WorkerProcess], wake_up: Callable[[], None]) -> None:
        self.target: str | None = None
        self.label_problem = ""
        self.committed: str | None = None
        self.last: control.ReloadFacts | None = None
        self._volume = volume
        self._workers = workers
        self._wake_up = wake_up
        self._candidate: Candidate | None = None
        self._begun_at = 0.0
        self._begun_with: Fingerprint = ()
        self._failed: tuple[str, Fingerprint] | None = None
        # The thread that verifies answers here: the version and why it failed.
        self._verified: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def label_read(self, target: str | None, problem: str) -> None:
        """Take in what the label says now."""
        if problem and problem != self.label_problem:
            _log.warning("%s", problem)
        self.target, self.label_problem = target, problem
        if self._failed is not None and target is not None:
            version, fingerprint = self._failed
            # A label that moved, or files that changed, are a reason to try again.
            if target != version or fingerprint != _fingerprint(self._volume, version):
                self._failed = None

    def hear(self, worker: WorkerProcess, message: object) -> None:
        """Take in what a worker said, after the worker's own note of it."""
        match message:
            case control.Prepared(version=version) if worker.prepared == version:
                if version == self.committed:
                    worker.commit(version)  # it joins late
                elif self._candidate is None or version != self._candidate.version:
                    worker.abandon()
            case control.PrepareFailed(version=version, reason=reason):
                if self._candidate is not None and version == self._candidate.version:
                    self._fail(f"worker {worker.index}: {reason}")
                elif version == self.committed:
                    _log.error("worker %d can't prepare %s: %s", worker.index, version, reason)
                    # It must not answer from nothing beside others that serve: try it afresh.
                    worker.kill()

    def advance(self) -> None:
        """Do what there is to do now."""
        self._take_verified()
        while (action := decide(self._observe())) is not Action.NOTHING:
            if action is Action.VERIFY:
                self._verify()
            elif action is Action.PREPARE:
                self._prepare()
            elif action is Action.COMMIT:
                self._commit()
            elif action is Action.ABANDON:
                self._abandon()
        self._join_late_workers()

    def _observe(self) -> Observed:
        candidate = self._candidate
        if candidate is not None and candidate.step is Step.PREPARING:
            version = candidate.version
            candidate = replace(
                candidate,
                waiting=sum(worker.preparing == version for worker in self._workers),
                prepared=sum(worker.prepared == version for worker in self._workers),
            )
        settled = [w for w in self._workers if w.idle and w.version == self.committed]
        return Observed(
            target=self.target,
            committed=self.committed,
            failed=self._failed is not None and self._failed[0] == self.target,
            candidate=candidate,
            settled=len(settled),
            joining=sum(worker.state != "down" for worker in self._workers) - len(settled),
        )

    def _verify(self) -> None:
        version = self.target
        assert version is not None  # noqa: S101 - decide() asks to verify a target only
        self._begun_at = time.monotonic()
        # Before it is read: what changes meanwhile is a reason to try again.
        self._begun_with = _fingerprint(self._volume, version)
        self._candidate = Candidate(version, Step.VERIFYING)

        def verify() -> None:
            try:
                reader.verify(self._volume, version)
                problem = ""
            except PublicationError as error:
                problem = str(error)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            self._verified.put((version, problem))
            self._wake_up()

        threading.Thread(target=verify, name="verify", daemon=True).start()

    def _take_verified(self) -> None:
        while not self._verified.empty():
            version, problem = self._verified.get()
            candidate = self._candidate
            if (
                candidate is None
                or candidate.version != version
                or candidate.step is not Step.VERIFYING
            ):
                continue  # it was abandoned meanwhile
            if problem:
                self._fail(problem)
            else:
                self._candidate = replace(candidate, step=Step.VERIFIED)

    def _prepare(self) -> None:
        assert self._candidate is not None  # noqa: S101 - decide() asks it of a candidate only
        self._candidate = replace(self._candidate, step=Step.PREPARING)
        for worker in self._workers:
            if worker.state == "running":
                worker.prepare(self._candidate.version)

    def _commit(self) -> None:
        assert self._candidate is not None  # noqa: S101
        version = self._candidate.version
        self._candidate = None
        self.committed = version
        for worker in self._workers:
            if worker.prepared == version:
                worker.commit(version)
        self._note(version, succeeded=True, reason="")
        _log.info("version %s serves", version)

    def _abandon(self) -> None:
        self._candidate = None
        for worker in self._workers:
            if worker.state == "running" and (worker.preparing or worker.prepared):
                worker.abandon()

    def _fail(self, reason: str) -> None:
        assert self._candidate is not None  # noqa: S101
        version = self._candidate.version
        reason = reason if len(reason) <= _MAX_REASON else reason[: _MAX_REASON - 3] + "..."
        self._abandon()
        self._failed = (version, self._begun_with)
        self._note(version, succeeded=False, reason=reason)
        _log.error(
            "version %s can't be served: %s; %s",
            version,
            reason,
            f"{self.committed} goes on" if self.committed else "nothing is served",
        )

    def _join_late_workers(self) -> None:
        """Workers that booted after a commit get the version that the others serve."""
        if self.committed is None:
            return
        for worker in self._workers:
            if worker.idle and worker.version != self.committed:
                worker.prepare(self.committed)

    def _note(self, version: str, *, succeeded: bool, reason: str) -> None:
        self.last = control.ReloadFacts(
            version=version,
            succeeded=succeeded,
            reason=reason,
            seconds=time.monotonic() - self._begun_at,
            ended_at=time.time(),
        )


def _fingerprint(volume: Path, version: str) -> Fingerprint:
    """Changes when any file of a version does: its content, its rights, or that it is there."""
    facts: list[object] = []
    directory = layout.version_dir(volume, version)
    try:
        for path in sorted(directory.iterdir()):
            stat = path.stat()
            facts.append((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    except OSError as error:
        facts.append(error.errno)
    return tuple(facts)
