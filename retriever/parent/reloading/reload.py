"""Loading what the label names, in two steps, so that all workers change over together.

The parent verifies a version once; every worker prepares it; when all have, they are told to commit.
Any failure leaves every worker with what it serves, and the version isn't tried again until it or the
label changes, or until what says nothing about the version may have passed.
`version_policy` decides, this carries out.

A worker that comes later, because another one died, takes no calls before it serves what the others do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from lightfm_retriever.hosting.process import Wanted
from retriever import control, failures
from retriever.failures import Failure
from retriever.parent.reloading.changeover import Changeover
from retriever.parent.reloading.failed_versions import FailedVersions
from retriever.parent.reloading.label_watch import Seen
from retriever.parent.reloading.served_files import ServedFiles
from retriever.parent.reloading.verifications import Verification, Verifications
from retriever.parent.reloading.version_policy import (
    Action,
    Candidate,
    Observed,
    Step,
    decide,
    gives_up,
)
from retriever.parent.worker_group import WorkerGroup
from retriever.parent.worker_process import WorkerProcess
from retriever.version_files import Files

_log = logging.getLogger(__name__)

_MAX_DEATHS = 2


class Reload:
    """The state of reloading. Called by the supervisor on its one thread.

    Args:
        volume, workers: the shared one, and all of them.
        wake_up: called by other threads that have news.
        verify: checks a version of a volume while it is wanted, as `verify_apart` does.
        ended: told of each attempt that ended.
        clock: in seconds, the same for all processes.

    Attributes:
        target: the version that the label names, None when it can't be read.
        label_problem: why it can't.
        committed: the version that serves.
        last: what became of the latest attempt.
        failed: the versions that couldn't be loaded.
        served: the files of the version that serves.
    """

    def __init__(
        self,
        volume: Path,
        workers: list[WorkerProcess],
        wake_up: Callable[[], None],
        *,
        verify: Callable[[Path, str, Wanted], Files],
        ended: Callable[[control.ReloadFacts], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target: str | None = None
        self.label_problem = ""
        self.committed: str | None = None
        self.last: control.ReloadFacts | None = None
        self.failed = FailedVersions(clock=clock)
        self.served = ServedFiles(volume, clock=clock)
        # Exit statuses of the workers that have died while they prepared a version.
        self._deaths: dict[str, list[int]] = {}
        self._workers = WorkerGroup(workers)
        self._verifications = Verifications(partial(verify, volume), wake_up, clock=clock)
        self._clock = clock
        self._ended = ended
        self._seen = Seen(None)
        self._candidate: Candidate | None = None
        self._candidate_seen = Seen(None)
        self._candidate_files: Files = {}
        self._begun_at = 0.0
        self._changeover = Changeover()

    @property
    def loading(self) -> control.Loading | None:
        """The version that may come next, None when there is none."""
        if (candidate := self._candidate) is None:
            return None
        return control.Loading(candidate.version, candidate.step.name, self._begun_at)

    def problem(self) -> str:
        """Why the label can't be followed; empty when it can."""
        return self._verifications.problem() or self.label_problem

    def look(self, seen: Seen) -> None:
        """Take in what a look at the volume showed."""
        if seen.problem and seen.problem != self.label_problem:
            _log.warning("%s", seen.problem)
        self._seen = seen
        self.target, self.label_problem = seen.target, seen.problem
        self.failed.look(seen)
        self.served.found(seen.served)

    def hear(self, worker: WorkerProcess, message: object) -> None:
        """Take in what a worker said, after the worker's own note of it."""
        match message:
            case control.Prepared(version=version) if worker.prepared == version:
                if version == self.committed:
                    worker.commit(version)  # it joins late
                elif not self._is_candidate(version, step=Step.PREPARING):
                    worker.abandon()
            case control.PrepareFailed(version=self.committed, changed=True):
                worker.abandon()
                self.served.doubt()
            case control.PrepareFailed(version=version, reason=reason, passing=passing):
                self._not_prepared(worker, version, Failure(reason, passing=passing))
            case control.Committed(at=at):
                self._committed_by(worker, at)

    def gone(self, worker: WorkerProcess, *, preparing: str | None, status: int) -> None:
        """Take in that a worker's process ended, what it was preparing then, and its exit status."""
        self._committed_by(worker, None)
        if preparing is None or not (self._is_candidate(preparing) or self._is_lost(preparing)):
            return
        # One may have been killed by chance; that two were while they opened it is none.
        statuses = self._deaths.setdefault(preparing, [])
        statuses.append(status)
        if len(statuses) < _MAX_DEATHS:
            return
        del self._deaths[preparing]
        failure = failures.of_deaths(worker.index, statuses)
        if self._is_candidate(preparing):
            self._fail(failure)
        elif self._gives_up(failure):
            self._lose()

    def prepare_took_too_long(self, worker: WorkerProcess) -> None:
        """Take in that a worker hasn't prepared what it was told to in the time that it may take."""
        version = worker.preparing
        assert version is not None  # noqa: S101 - otherwise it takes no time
        reason = f"not prepared in {worker.preparing_seconds():.0f} s"
        if not self._not_prepared(worker, version, Failure(reason, passing=True, costly=True)):
            worker.abandon()

    def advance(self) -> None:
        """Do what there is to do now."""
        self._take_verified()
        if not self.served.sound and self._is_lost(self.committed):
            # To answer nothing, and say why, is better than to answer what nobody verified.
            self._lose()
        while (action := decide(self._observe())) is not Action.NOTHING:
            if action is Action.VERIFY:
                self._verify()
            elif action is Action.PREPARE_ONE:
                self._prepare(at_most=1)
            elif action is Action.PREPARE_REST:
                self._prepare()
            elif action is Action.COMMIT:
                self._commit()
            elif action is Action.ABANDON:
                self._abandon()
        self._verify_served()
        self._workers.follow(self.committed, self.served.files if self.served.sound else None)

    def _observe(self) -> Observed:
        candidate = self._candidate
        if candidate is not None and candidate.step is Step.PREPARING:
            version = candidate.version
            candidate = replace(
                candidate,
                waiting=self._workers.preparing(version),
                prepared=len(self._workers.prepared(version)),
            )
        settled, down = len(self._settled()), self._workers.down()
        return Observed(
            target=self.target,
            committed=self.committed,
            failed=self.failed.blocks(self.target),
            candidate=candidate,
            settled=settled,
            joining=len(self._workers) - down - settled,
            down=down,
            suspect=candidate is not None and candidate.version in self._deaths,
        )

    def _verify(self) -> None:
        version = self.target
        assert version is not None  # noqa: S101 - decide() asks to verify a target only
        self._begun_at = self._clock()
        self._candidate = Candidate(version, Step.VERIFYING)
        # As it was before: what changes while it is read is a reason to read it again.
        self._candidate_seen = self._seen
        self._verifications.begin(version)

    def _take_verified(self) -> None:
        result = self._verifications.result()
        if result is None:
            return
        if self._candidate is None:
            self._take_served(result)
        elif result.problem is None:
            self._candidate = replace(self._candidate, step=Step.VERIFIED)
            self._candidate_files = result.files
        else:
            self._fail(failures.of_error(result.problem))

    def _verify_served(self) -> None:
        """Verify what serves anew, when its files have changed and nothing else is on its way."""
        if self.committed is None or self._candidate is not None or self._verifications.busy:
            return
        if self.served.wants_verification:
            self._verifications.begin(self.committed)

    def _take_served(self, result: Verification) -> None:
        """Take in what came of verifying anew what serves."""
        if result.version != self.committed:
            return
        if result.problem is None:
            self.served.serve(result.version, result.files)
        else:
            self.served.refuse(failures.of_error(result.problem))

    def _prepare(self, *, at_most: int | None = None) -> None:
        assert self._candidate is not None  # noqa: S101 - decide() asks it of a candidate only
        self._candidate = replace(self._candidate, step=Step.PREPARING)
        for worker in self._settled()[:at_most]:
            worker.prepare(self._candidate.version, self._candidate_files)

    def _settled(self) -> list[WorkerProcess]:
        return self._workers.settled(self.committed, joinable=self.served.sound)

    def _commit(self) -> None:
        assert self._candidate is not None  # noqa: S101
        version = self._candidate.version
        self._candidate = None
        self.committed = version
        self.failed.served(version)
        self.served.serve(version, self._candidate_files)
        self._deaths.clear()
        prepared = self._workers.prepared(version)
        self._changeover.begin(worker.index for worker in prepared)
        for worker in prepared:
            worker.commit(version)

    def _committed_by(self, worker: WorkerProcess, at: float | None) -> None:
        """Note that a worker that was told to commit has done so, or with None never will."""
        times = self._changeover.done(worker.index, at)
        if times is None or self.committed is None:
            return
        first, last = times
        self._note(
            self.committed, succeeded=True, reason="", ended=last, commit_spread_seconds=last - first
        )
        _log.info(
            "version %s serves, %.3f s after it was noticed; all workers changed over in %.1f ms",
            self.committed,
            last - self._begun_at,
            (last - first) * 1000,
        )

    def _abandon(self) -> None:
        assert self._candidate is not None  # noqa: S101
        version, self._candidate = self._candidate.version, None
        self._verifications.abandon()
        self._workers.abandon(version)

    def _fail(self, failure: Failure) -> None:
        """Give the candidate up until it or the label changes, or until what passes may be over."""
        assert self._candidate is not None  # noqa: S101
        version = self._candidate.version
        self._abandon()
        before = self.failed.by_name.get(version)
        took = self._clock() - self._begun_at
        seconds = self.failed.add(version, failure, self._candidate_seen.fingerprint, took=took)
        self._note(version, succeeded=False, reason=failure.reason)
        if before is None or before.reason != failure.reason:
            _log.error(
                "version %s can't be %s: %s; %s",
                version,
                "served" if seconds is None else f"loaded now, and is tried again in {seconds:.0f} s",
                failure.reason,
                f"{self.committed} goes on" if self.committed else "nothing is served",
            )

    def _not_prepared(self, worker: WorkerProcess, version: str, failure: Failure) -> bool:
        """Draw the consequence of a worker that can't prepare a version; False when there is none."""
        if self._is_candidate(version):
            reason = failures.cut(f"worker {worker.index}: {failure.reason}")
            self._fail(msgspec.structs.replace(failure, reason=reason))
        elif version == self.committed:
            self._cannot_join(worker, failure)
        else:
            return False
        return True

    def _is_candidate(self, version: str, *, step: Step | None = None) -> bool:
        own = self._candidate
        return own is not None and own.version == version and step in (None, own.step)

    def _cannot_join(self, worker: WorkerProcess, failure: Failure) -> None:
        _log.error("worker %d can't prepare %s: %s", worker.index, self.committed, failure.reason)
        if self._is_lost(self.committed) and self._gives_up(failure):
            worker.abandon()
            self._lose()
        else:
            # It must not answer from nothing beside others that serve: try it afresh.
            worker.kill()

    def _gives_up(self, failure: Failure) -> bool:
        failed = self.failed.blocks(self.target)
        return gives_up(self.target, target_failed=failed, passing=failure.passing)

    def _is_lost(self, version: str | None) -> bool:
        """Whether a version is to serve and no worker serves it, or is told to."""
        return version is not None and version == self.committed and not self._workers.serves(version)

    def _lose(self) -> None:
        """Nobody serves what was committed and nobody can: begin with what the label names."""
        _log.error("no worker serves %s any more, and none can", self.committed)
        self.committed = None
        self.served.end()

    def _note(
        self,
        version: str,
        *,
        succeeded: bool,
        reason: str,
        ended: float | None = None,
        commit_spread_seconds: float = 0.0,
    ) -> None:
        self.last = control.ReloadFacts(
            version=version,
            succeeded=succeeded,
            reason=reason,
            seconds=(self._clock() if ended is None else ended) - self._begun_at,
            ended_at=time.time(),
            commit_spread_seconds=commit_spread_seconds,
        )
        self._ended(self.last)
