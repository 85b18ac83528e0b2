"""Loading what the label names, in two steps, so that all workers change over together.

The parent verifies a version once; every worker prepares it; when all have, they are told to commit.
Any failure leaves every worker with what it serves. A worker that comes later, because another one
died, takes no calls before it serves what the others do.

`decisions` decides, this takes in what happens and carries out.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from retriever import control, failures
from retriever.failures import Failure
from retriever.parent.reloading import decisions
from retriever.parent.reloading.known import Changeover, Known, Refusal
from retriever.parent.reloading.label_watch import Seen
from retriever.parent.reloading.verifications import Verifications
from retriever.parent.worker_process import WorkerProcess

_log = logging.getLogger(__name__)

_MAX_FAILED = 20


class Reload:
    """The state of reloading. Called by the supervisor on its one thread.

    `ended` is told of each attempt that ended. The clock is the same for all processes.

    Attributes:
        known: all that decisions depend on, as of the latest one; may be read on any thread.
        last: what became of the latest attempt.
        failed: the versions that couldn't be loaded, by name, the latest last.
    """

    def __init__(
        self,
        workers: Sequence[WorkerProcess],
        verifications: Verifications,
        *,
        ended: Callable[[control.ReloadFacts], None],
        clock: Callable[[], float],
    ) -> None:
        self.known = Known()
        self.last: control.ReloadFacts | None = None
        self.failed: dict[str, control.FailedVersion] = {}
        self._workers = workers
        self._verifications = verifications
        self._clock = clock
        self._ended = ended

    @property
    def loading(self) -> control.Loading | None:
        """The version that may come next, None when there is none."""
        if (own := self.known.candidate) is None:
            return None
        return control.Loading(own.version, own.step.name, own.begun_at)

    def problem(self) -> str:
        """Why the label can't be followed; empty when it can."""
        return self._verifications.problem() or self.known.label_problem

    def look(self, seen: Seen) -> None:
        """Take in what a look at the volume showed."""
        if seen.problem and seen.problem != self.known.label_problem:
            _log.warning("%s", seen.problem)
        self._become(self.known.looked(seen, self._clock()))

    def retry_now(self) -> None:
        """Let what passes be tried without waiting any longer."""
        self._become(self.known.retried(self._clock()))

    def hear(self, worker: WorkerProcess, message: object) -> None:
        """Take in what a worker said, after the worker's own note of it."""
        match message:
            case control.PrepareFailed() as own:
                failure = Failure(own.reason, passing=own.passing)
                refusal = Refusal(worker.index, own.version, failure, own.changed)
                self._become(self.known.refused(refusal))
            case control.Committed(at=at):
                self._become(self.known.changed_over(worker.index, at))

    def gone(self, worker: WorkerProcess, *, preparing: str | None, status: int) -> None:
        """Take in that a worker's process ended, what it was preparing then, and its exit status."""
        self._become(self._observe().gone(worker.index, preparing=preparing, status=status))

    def prepare_took_too_long(self, worker: WorkerProcess) -> None:
        """Take in that a worker hasn't prepared what it was told to in the time that it may take."""
        reason = f"not prepared in {worker.preparing_seconds():.0f} s"
        failure = Failure(reason, passing=True, costly=True)
        self._become(self.known.refused(Refusal(worker.index, worker.view.preparing or "", failure)))

    def advance(self) -> None:
        """Do what there is to do now."""
        now = self._clock()
        if (result := self._verifications.result()) is not None:
            problem = result.problem
            outcome = result.files if problem is None else failures.of_error(problem)
            self._become(self.known.verified(result.version, outcome, now))
        known, orders = decisions.decide(self._observe(), now)
        self._become(known)
        for order in orders:
            self._carry_out(order, now)

    def _observe(self) -> Known:
        workers = tuple(worker.view for worker in self._workers)
        busy, chance = self._verifications.busy, random.random()  # noqa: S311
        return replace(self.known, workers=workers, verifying=busy, chance=chance)

    def _become(self, known: Known) -> None:
        before, served = self.known.served, known.served
        self.known = known
        if served.reason and served.reason != before.reason:
            _log.error("%s", served.reason)
        elif before.reason and not served.reason and served.version:
            _log.info("the files of %s are right", served.version)

    def _carry_out(self, order: decisions.Order, now: float) -> None:
        match order:
            case decisions.Verify(version):
                self._verifications.begin(version)
            case decisions.Drop():
                self._verifications.abandon()
            case decisions.Fail():
                self._verifications.abandon()
                self._fail(order, now)
            case decisions.Serve(version):
                self.failed.pop(version, None)
            case decisions.Lose(version):
                _log.error("no worker serves %s any more, and none can", version)
            case decisions.Report(changeover):
                self._report(changeover)
            case decisions.Tell():
                self._tell(order)

    def _tell(self, order: decisions.Tell) -> None:
        worker = self._workers[order.worker]
        if order.reason:
            _log.error("worker %d %s", order.worker, order.reason)
        if order.message is None:
            worker.kill()
        else:
            worker.tell(order.message)

    def _fail(self, order: decisions.Fail, now: float) -> None:
        version, failure, serves = order.failed.version, order.failure, self.known.committed
        before = self.failed.pop(version, None)
        self.failed[version] = control.FailedVersion(
            version, failure.reason, time.time(), failure.passing
        )
        while len(self.failed) > _MAX_FAILED:
            del self.failed[next(iter(self.failed))]
        self._note(control.ReloadFacts(version, False, failure.reason, order.took, time.time()))
        if before is None or before.reason != failure.reason:
            seconds = order.failed.again_at - now
            _log.error(
                "version %s can't be %s: %s; %s",
                version,
                f"loaded now, and is tried again in {seconds:.0f} s" if failure.passing else "served",
                failure.reason,
                f"{serves} goes on" if serves else "nothing is served",
            )

    def _report(self, own: Changeover) -> None:
        first, last = min(own.times), max(own.times)
        seconds, spread = last - own.begun_at, last - first
        self._note(control.ReloadFacts(own.version, True, "", seconds, time.time(), spread))
        _log.info(
            "version %s serves, %.3f s after it was noticed; all workers changed over in %.1f ms",
            own.version,
            seconds,
            spread * 1000,
        )

    def _note(self, facts: control.ReloadFacts) -> None:
        self.last = facts
        self._ended(facts)
