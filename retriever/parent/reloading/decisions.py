"""Decide what to do in a reload: a pure function of the known facts and the clock."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from retriever import control, failures
from retriever.failures import Failure
from retriever.parent.reloading.known import Candidate, Changeover, HeldBack, Known, Refusal, Step
from retriever.parent.reloading.served_files import ServedFiles
from retriever.parent.worker_process import WorkerView
from retriever.version_files import Files

# The first and the longest pause between attempts to load a version after a passing failure.
_PAUSE_SECONDS = 1.0, 30.0
# The same for attempts that cost worker processes, or took all the allowed time.
_COSTLY_PAUSE_SECONDS = 30.0, 600.0


@dataclass(frozen=True)
class VersionOrder:
    """An order about a version."""

    version: str


class Verify(VersionOrder):
    """Verify the next candidate, or the served version after its files changed."""


class Drop(VersionOrder):
    """Drop the candidate: the label names another version, or its prepared workers have gone."""


class Serve(VersionOrder):
    """Serve this version from now on."""


class Lose(VersionOrder):
    """Give up the committed version, which no worker can serve; start with the label's version."""


@dataclass(frozen=True)
class Fail:
    """Give up the candidate until its files or the label change, or until the next attempt is due.

    `took` is how long the attempt took, in seconds.
    """

    failure: Failure
    failed: HeldBack
    took: float


@dataclass(frozen=True)
class Report:
    """Report that all workers have switched to a version."""

    changeover: Changeover


@dataclass(frozen=True)
class Tell:
    """Send a message to a worker. None kills the worker, which is then restarted.

    `reason` is why the worker can't do its work.
    """

    worker: int
    message: control.ToWorker | None
    reason: str = ""


Order = VersionOrder | Fail | Report | Tell


def decide(known: Known, now: float) -> tuple[Known, list[Order]]:
    """Return all orders to give now, and the known facts after they are carried out."""
    given: list[Order] = []
    refusals, known = known.refusals, replace(known, refusals=())
    for refusal in refusals:
        orders = _answer(known, refusal, now)
        known, given = _after(known, orders, now), given + orders
    while orders := _next(known, now):
        known, given = _after(known, orders, now), given + orders
    return known, given


def _answer(known: Known, refusal: Refusal, now: float) -> list[Order]:
    """Return the orders that follow from a version that can't be loaded."""
    index, version, failure, own = refusal.worker, refusal.version, refusal.failure, known.candidate
    if own is not None and own.version == version:
        if index is not None:
            reason = failures.cut(f"worker {index}: {failure.reason}")
            failure = msgspec.structs.replace(failure, reason=reason)
        failed = _failed(known, own, failure, now)
        return [*_forget(known, version), Fail(failure, failed, now - own.begun_at)]
    # If no other version can be tried, wait for a passing failure to pass: workers are restarted.
    gives_up = not failure.passing or (known.target is not None and not known.blocks_target(now))
    loses = known.lost == version and gives_up and not refusal.changed
    lose: list[Order] = [Lose(version)] if loses else []
    if index is None:
        return lose
    if version != known.committed or refusal.changed:
        wanted = version == known.committed or known.workers[index].preparing == version
        return [Tell(index, control.Abandon())] if wanted else []
    # The worker must not take calls without a version while others serve one: restart it.
    reason = f"can't prepare {version}: {failure.reason}"
    return [Tell(index, control.Abandon() if loses else None, reason), *lose]


def _next(known: Known, now: float) -> list[Order]:
    """Return the next orders of one kind; none when there is only waiting to do."""
    changeover = known.changeover
    if changeover is not None and changeover.times and not changeover.waiting:
        return [Report(changeover)]
    if known.lost is not None and not known.served.sound:
        # An error that says why is better than answers from files that weren't verified.
        return [Lose(known.lost)]
    return _commit(known) or _lead(known, now) or _follow(known, now)


def _commit(known: Known) -> list[Order]:
    """Let workers commit the served version, and forget prepared versions that aren't needed."""
    coming = known.candidate
    wanted = coming.version if coming is not None and coming.step is Step.PREPARING else None
    return [
        Tell(one.index, control.Commit(own) if own == known.committed else control.Abandon())
        for one in known.workers
        if (own := one.prepared) is not None and own != wanted
    ]


def _lead(known: Known, now: float) -> list[Order]:
    """Lead all workers towards the version that the label names.

    A label that can't be read changes neither the served version nor the candidate. One worker prepares
    a version before the others do: a version that kills its worker then costs only this one.
    """
    own, target, settled = known.candidate, known.target, known.settled
    if own is None:
        waits = target in (None, known.committed) or known.blocks_target(now)
        return [] if waits or target is None else [Verify(target)]
    if target not in (None, own.version):
        return [*_forget(known, own.version), Drop(own.version)]
    if own.step is Step.VERIFIED:
        # A worker that isn't ready would miss the joint commit. After a version may have killed a
        # worker, the next attempt waits until all workers are back.
        down = sum(worker.state == "down" for worker in known.workers)
        away = len(known.workers) - len(settled) - (0 if own.version in known.deaths else down)
        return [] if away else _prepare(settled[:1], own.version, own.files)
    waiting = any(worker.preparing == own.version for worker in known.workers)
    if own.step is Step.VERIFYING or waiting:
        return []
    if not any(worker.prepared == own.version for worker in known.workers):
        # The workers that had prepared it have gone: start again.
        return [Drop(own.version)]
    return _prepare(settled, own.version, own.files) or [Serve(own.version)]


def _follow(known: Known, now: float) -> list[Order]:
    """Let workers that started later prepare the served version, and then take calls.

    They may map verified files only. Changed files are verified again, unless a candidate is being
    loaded.
    """
    orders: list[Order] = []
    version, served = known.committed, known.served
    if version is not None and served.sound:
        late = (worker for worker in known.workers if worker.idle and worker.version != version)
        orders += _prepare(late, version, served.files)
    elif version is not None and known.candidate is None and not known.verifying:
        orders += [Verify(version)] if now >= served.verify_at else []
    ready = [worker for worker in known.workers if worker.waits and worker.version == version]
    return orders + [Tell(worker.index, control.Listen()) for worker in ready]


def _prepare(workers: Iterable[WorkerView], version: str, files: Files) -> list[Order]:
    return [Tell(worker.index, control.Prepare(version, files=files)) for worker in workers]


def _forget(known: Known, version: str) -> list[Order]:
    """Let the workers that prepare or have prepared a version forget it."""
    return [
        Tell(worker.index, control.Abandon())
        for worker in known.workers
        if version in (worker.preparing, worker.prepared)
    ]


def _failed(known: Known, own: Candidate, failure: Failure, now: float) -> HeldBack:
    """Return until when a failed candidate isn't tried again: forever unless the failure passes."""
    before = known.failed
    again = before is not None and before.looks_like(own.version, own.fingerprint)
    attempts = before.attempts + 1 if before is not None and again else 1
    pause = math.inf
    if failure.passing:
        first, longest = _COSTLY_PAUSE_SECONDS if failure.costly else _PAUSE_SECONDS
        # The exponent is limited, because a float can't hold any power of 2.
        pause = min(longest, first * 2.0 ** min(attempts - 1, 16)) * (0.75 + known.chance / 4)
        # Attempts take at most half of the time.
        pause = max(pause, now - own.begun_at)
    return HeldBack(own.version, own.fingerprint, attempts, now + pause)


def _after(known: Known, orders: list[Order], now: float) -> Known:
    """Return the known facts after these orders are carried out."""
    for order in orders:
        known = _told(known, order) if isinstance(order, Tell) else _done(known, order, now)
    return known


def _told(known: Known, order: Tell) -> Known:
    worker, message, own = known.workers[order.worker], order.message, known.candidate
    if message is None:
        worker = replace(worker, state="down", preparing=None, waits=False)
    else:
        worker = worker.told(message)
    if isinstance(message, control.Prepare) and own is not None and own.version == message.version:
        known = replace(known, candidate=replace(own, step=Step.PREPARING))
    workers = (*known.workers[: order.worker], worker, *known.workers[order.worker + 1 :])
    return replace(known, workers=workers)


def _done(known: Known, order: Order, now: float) -> Known:
    own, failed = known.candidate, known.failed
    match order:
        case Verify(version) if version != known.committed:
            own = Candidate(version, now, known.fingerprint)
            return replace(known, candidate=own, verifying=True)
        case Verify():
            return replace(known, verifying=True)
        case Fail(failed=failed):
            return replace(known, candidate=None, failed=failed)
        case Serve(version) if own is not None:
            prepared = frozenset(one.index for one in known.workers if one.prepared == version)
            return replace(
                known,
                committed=version,
                served=known.served.verified(version, own.files),
                candidate=None,
                failed=None if failed is not None and failed.version == version else failed,
                deaths={},
                changeover=Changeover(version, own.begun_at, prepared),
            )
        case Lose():
            return replace(known, committed=None, served=ServedFiles(), changeover=None)
        case Report():
            return replace(known, changeover=None)
    return replace(known, candidate=None)
