"""The facts of a reload: the label's version, the served version, the candidate, failures, workers.

All classes are immutable: an event turns one `Known` into another. `decisions` derives orders from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from retriever import failures
from retriever.failures import Failure
from retriever.parent.reloading.label_watch import Fingerprint, Seen
from retriever.parent.reloading.served_files import ServedFiles
from retriever.parent.worker_process import WorkerView
from retriever.version_files import Files

# One death may be chance. Two deaths while workers open the same version aren't.
_MAX_DEATHS = 2


class Step(Enum):
    """The progress of the candidate."""

    VERIFYING = auto()
    VERIFIED = auto()
    PREPARING = auto()


@dataclass(frozen=True)
class Candidate:
    """The version that is being loaded.

    `fingerprint` is the state of its files when loading began: later changes are a reason to read it
    again. `files` are the verified files.
    """

    version: str
    begun_at: float = 0.0
    fingerprint: Fingerprint = ()
    step: Step = Step.VERIFYING
    files: Files = field(default_factory=dict)


@dataclass(frozen=True)
class HeldBack:
    """A failed version. It is tried again at `again_at`, or when its fingerprint changes."""

    version: str
    fingerprint: Fingerprint
    attempts: int
    again_at: float

    def looks_like(self, version: str | None, fingerprint: Fingerprint) -> bool:
        """Return whether a version with this fingerprint is the failed version, unchanged."""
        return (self.version, self.fingerprint) == (version, fingerprint)


@dataclass(frozen=True)
class Refusal:
    """A version can't be loaded.

    `worker` is the number of the worker that reported it, or None. `changed` says whether the files
    changed after they were verified.
    """

    worker: int | None
    version: str
    failure: Failure
    changed: bool = False


@dataclass(frozen=True)
class Changeover:
    """The switch of workers to a version: those that haven't switched, and the times of the others."""

    version: str
    begun_at: float
    waiting: frozenset[int]
    times: tuple[float, ...] = ()


@dataclass(frozen=True)
class Known:
    """Everything that decisions depend on, except the clock.

    Attributes:
        target: the version that the label names, None when the label can't be read.
        label_problem: why the label can't be read.
        fingerprint: state of the files of the target.
        committed: the served version, None when there is none.
        served: the files of the served version.
        candidate: the version that is being loaded, None when there is none.
        failed: the failed version that isn't to be tried again yet.
        refusals: the refusals since the last decision.
        deaths: by version, exit statuses of the workers that died while they prepared it.
        changeover: the current switch to a version, None when there is none.
        workers: the workers in the order of their numbers.
        verifying: whether a verification is running.
        chance: a random number in 0..1, so that many hosts don't retry at the same moment.
    """

    target: str | None = None
    label_problem: str = ""
    fingerprint: Fingerprint = ()
    committed: str | None = None
    served: ServedFiles = field(default_factory=ServedFiles)
    candidate: Candidate | None = None
    failed: HeldBack | None = None
    refusals: tuple[Refusal, ...] = ()
    deaths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    changeover: Changeover | None = None
    workers: tuple[WorkerView, ...] = ()
    verifying: bool = False
    chance: float = 1.0

    @property
    def lost(self) -> str | None:
        """The committed version if no worker serves it or is switching to it; else None."""
        own = self.committed
        serves = any(own in (one.version, one.prepared, one.committing) for one in self.workers)
        return None if serves else own

    @property
    def settled(self) -> list[WorkerView]:
        """Idle workers that serve the committed version, or nothing if there is none.

        While the files of the committed version mustn't be mapped, workers that wait for them count
        too. Otherwise the next version would wait for these workers, and they would wait for it.
        """
        wanted = {self.committed} if self.served.sound else {self.committed, None}
        return [worker for worker in self.workers if worker.idle and worker.version in wanted]

    def blocks_target(self, now: float) -> bool:
        """Return whether the target failed and isn't to be tried again yet."""
        own = self.failed
        return bool(own and own.looks_like(self.target, self.fingerprint) and now < own.again_at)

    # ---- what happens

    def looked(self, seen: Seen, now: float) -> Known:
        """Record the result of a look at the volume.

        A failed version may be tried again at once if its files have changed. After a passing failure
        it may also be tried again when the label becomes readable.
        """
        known = self.retried(now) if self.target is None and seen.target is not None else self
        failed = known.failed
        if failed and seen.target and not failed.looks_like(seen.target, seen.fingerprint):
            failed = None
        return replace(
            known,
            target=seen.target,
            label_problem=seen.problem,
            fingerprint=seen.fingerprint,
            served=known.served.looked(seen.served),
            failed=failed,
        )

    def retried(self, now: float) -> Known:
        """End the pause before a passing failure is retried."""
        own = self.failed
        if own is None or own.again_at == float("inf"):
            return self
        return replace(self, failed=replace(own, again_at=now))

    def verified(self, version: str, outcome: Files | Failure, now: float) -> Known:
        """Record which files were verified, or why they couldn't be."""
        if (own := self.candidate) is not None:
            if isinstance(outcome, Failure):
                return self.refused(Refusal(None, version, outcome))
            return replace(self, candidate=replace(own, step=Step.VERIFIED, files=outcome))
        if version != self.committed:
            return self
        if isinstance(outcome, Failure):
            return replace(self, served=self.served.refused(outcome, now))
        return replace(self, served=self.served.verified(version, outcome))

    def refused(self, refusal: Refusal) -> Known:
        """Record that a version can't be loaded."""
        doubted = refusal.changed and refusal.version == self.committed
        served = self.served.doubted() if doubted else self.served
        return replace(self, refusals=(*self.refusals, refusal), served=served)

    def changed_over(self, worker: int, at: float | None) -> Known:
        """Record that a worker has committed. With None, it never will."""
        own = self.changeover
        if own is None or worker not in own.waiting:
            return self
        times = own.times if at is None else (*own.times, at)
        return replace(self, changeover=replace(own, waiting=own.waiting - {worker}, times=times))

    def gone(self, worker: int, *, preparing: str | None, status: int) -> Known:
        """Record that a worker's process ended, with the version that it was preparing."""
        known = self.changed_over(worker, None)
        own = known.candidate
        if preparing is None or preparing not in (own and own.version, known.lost):
            return known
        statuses = (*known.deaths.get(preparing, ()), status)
        if len(statuses) < _MAX_DEATHS:
            return replace(known, deaths={**known.deaths, preparing: statuses})
        others = {version: seen for version, seen in known.deaths.items() if version != preparing}
        refusal = Refusal(None, preparing, failures.of_deaths(worker, statuses))
        return replace(known, deaths=others).refused(refusal)
