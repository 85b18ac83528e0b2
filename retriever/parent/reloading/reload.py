"""Load the version that the label names, in two steps, so that all workers switch to it together.

The parent verifies a version once, and every worker prepares it. When all are prepared, the parent
sends them Commit. After any failure every worker continues to serve its version. A worker that starts
later, after another one died, takes no calls before it serves the same version as the others.

This module records events and carries out orders; `decisions` decides which orders to give.
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
    """The state of reloading. The supervisor calls it on its only thread.

    `ended` is called with the result of each attempt. `clock` must be the same for all processes.

    Attributes:
        known: all facts that decisions depend on, after the latest decision. Any thread may read it.
        last: result of the latest attempt.
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
        """The version that is being loaded, None when there is none."""
        if (own := self.known.candidate) is None:
            return None
        return control.Loading(own.version, own.step.name, own.begun_at)

    def problem(self) -> str:
        """Return why the label can't be followed; empty when it can."""
        return self._verifications.problem() or self.known.label_problem

    def look(self, seen: Seen) -> None:
        """Record the result of a look at the volume."""
        if seen.problem and seen.problem != self.known.label_problem:
            _log.warning("%s", seen.problem)
        self._become(self.known.looked(seen, self._clock()))

    def retry_now(self) -> None:
        """End the pause before a passing failure is retried."""
        self._become(self.known.retried(self._clock()))

    def hear(self, worker: WorkerProcess, message: object) -> None:
        """Record a message of a worker, after `WorkerProcess.note` has."""
        match message:
            case control.PrepareFailed() as own:
                failure = Failure(own.reason, passing=own.passing)
                refusal = Refusal(worker.index, own.version, failure, own.changed)
                self._become(self.known.refused(refusal))
            case control.Committed(at=at):
                self._become(self.known.changed_over(worker.index, at))

    def gone(self, worker: WorkerProcess, *, preparing: str | None, status: int) -> None:
        """Record that a worker's process ended, with the version that it was preparing."""
        self._become(self._observe().gone(worker.index, preparing=preparing, status=status))

    def prepare_took_too_long(self, worker: WorkerProcess) -> None:
        """Record that a worker hasn't prepared a version in the allowed time."""
        reason = f"couldn't be prepared in {worker.preparing_seconds():.0f} s"
        failure = Failure(reason, passing=True, costly=True)
        self._become(self.known.refused(Refusal(worker.index, worker.view.preparing or "", failure)))

    def advance(self) -> None:
        """Decide what to do now, and do it."""
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
            _log.info("the files of version %s are right again", served.version)

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
                _log.error("no worker can serve version %s any more", version)
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
                "version %s can't be %s: %s; %s%s",
                version,
                "loaded now" if failure.passing else "served",
                failure.reason,
                f"trying again in {seconds:.0f} s; " if failure.passing else "",
                f"version {serves} stays in service" if serves else "no version is served",
            )

    def _report(self, own: Changeover) -> None:
        first, last = min(own.times), max(own.times)
        seconds, spread = last - own.begun_at, last - first
        self._note(control.ReloadFacts(own.version, True, "", seconds, time.time(), spread))
        _log.info(
            "version %s is served, %.3f s after it was noticed; all workers switched within %.1f ms",
            own.version,
            seconds,
            spread * 1000,
        )

    def _note(self, facts: control.ReloadFacts) -> None:
        self.last = facts
        self._ended(facts)
