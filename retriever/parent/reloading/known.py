"""What is known for a reload: what is published, serves, comes next, failed, and what each worker said.

Nothing here changes: what happens makes another `Known` of one. `decisions` tells what follows from it.
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

# One may have been killed by chance; that two were while they opened a version is none.
_MAX_DEATHS = 2


class Step(Enum):
    """How far the candidate has got."""

    VERIFYING = auto()
    VERIFIED = auto()
    PREPARING = auto()


@dataclass(frozen=True)
class Candidate:
    """The version that may come next.

    `fingerprint` is what it looked like when that was begun: what changes meanwhile is a reason to read
    it again. `files` are those that were verified.
    """

    version: str
    begun_at: float = 0.0
    fingerprint: Fingerprint = ()
    step: Step = Step.VERIFYING
    files: Files = field(default_factory=dict)


@dataclass(frozen=True)
class HeldBack:
    """A version that isn't tried again as long as it looks like this, or before then."""

    version: str
    fingerprint: Fingerprint
    attempts: int
    again_at: float

    def looks_like(self, version: str | None, fingerprint: Fingerprint) -> bool:
        """Whether this is it, unchanged."""
        return (self.version, self.fingerprint) == (version, fingerprint)


@dataclass(frozen=True)
class Refusal:
    """That a version can't be loaded, by the number of the worker that says so, or None.

    `changed` says whether the files aren't those that were verified.
    """

    worker: int | None
    version: str
    failure: Failure
    changed: bool = False


@dataclass(frozen=True)
class Changeover:
    """The workers that were told to change over to a version and haven't, and when the others did."""

    version: str
    begun_at: float
    waiting: frozenset[int]
    times: tuple[float, ...] = ()


@dataclass(frozen=True)
class Known:
    """Everything that decisions depend on, but for the clock.

    Attributes:
        target: the version that the label names, None when it can't be read.
        label_problem: why it can't.
        fingerprint: what the target looks like.
        committed: the version that serves, None when none does.
        served: the files of that.
        candidate: the version on its way, None when there is none.
        failed: the version that isn't to be tried again yet.
        refusals: what was said of versions since the last decision.
        deaths: exit statuses of the workers that have died while they prepared a version.
        changeover: the latest one, while it lasts.
        workers: by their numbers.
        verifying: whether anything is being verified.
        chance: in 0..1, so that many hosts don't try again at the same moment.
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
        """What is to serve while no worker serves it, or is to change over to it; None for nothing."""
        own = self.committed
        serves = any(own in (one.version, one.prepared, one.committing) for one in self.workers)
        return None if serves else own

    @property
    def settled(self) -> list[WorkerView]:
        """Workers that serve what is committed, which may be nothing, and have nothing else to do.

        While nobody may map the files of that also those that wait for them: else the next version
        would wait for workers that wait for it.
        """
        wanted = {self.committed} if self.served.sound else {self.committed, None}
        return [worker for worker in self.workers if worker.idle and worker.version in wanted]

    def blocks_target(self, now: float) -> bool:
        """Whether the target failed, and isn't to be tried again yet."""
        own = self.failed
        return bool(own and own.looks_like(self.target, self.fingerprint) and now < own.again_at)

    # ---- what happens

    def looked(self, seen: Seen, now: float) -> Known:
        """Take in what a look at the volume showed: what changed may be tried at once.

        So may what passes when the label can be read again.
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
        """Let what passes be tried without waiting any longer."""
        own = self.failed
        if own is None or own.again_at == float("inf"):
            return self
        return replace(self, failed=replace(own, again_at=now))

    def verified(self, version: str, outcome: Files | Failure, now: float) -> Known:
        """Take in which files were verified, or why they couldn't be."""
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
        """Take in that a version can't be loaded."""
        doubted = refusal.changed and refusal.version == self.committed
        served = self.served.doubted() if doubted else self.served
        return replace(self, refusals=(*self.refusals, refusal), served=served)

    def changed_over(self, worker: int, at: float | None) -> Known:
        """Take in that a worker that was told to commit has done so, or with None never will."""
        own = self.changeover
        if own is None or worker not in own.waiting:
            return self
        times = own.times if at is None else (*own.times, at)
        return replace(self, changeover=replace(own, waiting=own.waiting - {worker}, times=times))

    def gone(self, worker: int, *, preparing: str | None, status: int) -> Known:
        """Take in that a worker's process ended, what it was preparing then, and its exit status."""
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
