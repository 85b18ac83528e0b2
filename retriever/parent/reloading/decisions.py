"""What to do in a reload: a pure function of what is known and of the clock."""

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

# Between attempts to load a version that failed for no fault of its own: the first and the longest.
_PAUSE_SECONDS = 1.0, 30.0
# Where an attempt cost worker processes, or all the time that it may take.
_COSTLY_PAUSE_SECONDS = 30.0, 600.0


@dataclass(frozen=True)
class VersionOrder:
    """What to do about a version."""

    version: str


class Verify(VersionOrder):
    """Verify it: the next candidate, or what serves, whose files have changed."""


class Drop(VersionOrder):
    """Give it up as the candidate: the label names another one, or those that prepared it are gone."""


class Serve(VersionOrder):
    """From now on it is the one that serves."""


class Lose(VersionOrder):
    """Nobody serves it, though it is committed, and nobody can: begin with what the label names."""


@dataclass(frozen=True)
class Fail:
    """Give the candidate up, which took so long, until it or the label changes, or until then."""

    failure: Failure
    failed: HeldBack
    took: float


@dataclass(frozen=True)
class Report:
    """Say that all workers changed over."""

    changeover: Changeover


@dataclass(frozen=True)
class Tell:
    """What to tell a worker; None ends it: it comes back.

    `reason` says what it can't do that it must.
    """

    worker: int
    message: control.ToWorker | None
    reason: str = ""


Order = VersionOrder | Fail | Report | Tell


def decide(known: Known, now: float) -> tuple[Known, list[Order]]:
    """All orders that there are to give now, and what is known once they are carried out."""
    given: list[Order] = []
    refusals, known = known.refusals, replace(known, refusals=())
    for refusal in refusals:
        orders = _answer(known, refusal, now)
        known, given = _after(known, orders, now), given + orders
    while orders := _next(known, now):
        known, given = _after(known, orders, now), given + orders
    return known, given


def _answer(known: Known, refusal: Refusal, now: float) -> list[Order]:
    """Draw the consequence of a version that can't be loaded."""
    index, version, failure, own = refusal.worker, refusal.version, refusal.failure, known.candidate
    if own is not None and own.version == version:
        if index is not None:
            reason = failures.cut(f"worker {index}: {failure.reason}")
            failure = msgspec.structs.replace(failure, reason=reason)
        failed = _failed(known, own, failure, now)
        return [*_forget(known, version), Fail(failure, failed, now - own.begun_at)]
    # Where there is nothing to begin with, what passes is waited for: workers are started again.
    gives_up = not failure.passing or (known.target is not None and not known.blocks_target(now))
    loses = known.lost == version and gives_up and not refusal.changed
    lose: list[Order] = [Lose(version)] if loses else []
    if index is None:
        return lose
    if version != known.committed or refusal.changed:
        wanted = version == known.committed or known.workers[index].preparing == version
        return [Tell(index, control.Abandon())] if wanted else []
    # It must not answer from nothing beside others that serve: try it afresh.
    reason = f"can't prepare {version}: {failure.reason}"
    return [Tell(index, control.Abandon() if loses else None, reason), *lose]


def _next(known: Known, now: float) -> list[Order]:
    """The next orders of one kind; none when there is nothing to do but wait."""
    changeover = known.changeover
    if changeover is not None and changeover.times and not changeover.waiting:
        return [Report(changeover)]
    if known.lost is not None and not known.served.sound:
        # To answer nothing, and say why, is better than to answer what nobody verified.
        return [Lose(known.lost)]
    return _commit(known) or _lead(known, now) or _follow(known, now)


def _commit(known: Known) -> list[Order]:
    """Let whoever has prepared what serves change over, and whoever has what nobody wants forget it."""
    coming = known.candidate
    wanted = coming.version if coming is not None and coming.step is Step.PREPARING else None
    return [
        Tell(one.index, control.Commit(own) if own == known.committed else control.Abandon())
        for one in known.workers
        if (own := one.prepared) is not None and own != wanted
    ]


def _lead(known: Known, now: float) -> list[Order]:
    """Lead all workers towards what the label names.

    A label that can't be read changes nothing: neither what serves nor a candidate on its way. One
    worker prepares before all others do: a version that kills whoever opens it then costs one worker,
    and the others go on.
    """
    own, target, settled = known.candidate, known.target, known.settled
    if own is None:
        waits = target in (None, known.committed) or known.blocks_target(now)
        return [] if waits or target is None else [Verify(target)]
    if target not in (None, own.version):
        return [*_forget(known, own.version), Drop(own.version)]
    if own.step is Step.VERIFIED:
        # Workers on their way would miss the commit that the others make together. What may have
        # killed one worker gets another only when all are back.
        down = sum(worker.state == "down" for worker in known.workers)
        away = len(known.workers) - len(settled) - (0 if own.version in known.deaths else down)
        return [] if away else _prepare(settled[:1], own.version, own.files)
    waiting = any(worker.preparing == own.version for worker in known.workers)
    if own.step is Step.VERIFYING or waiting:
        return []
    if not any(worker.prepared == own.version for worker in known.workers):
        # Those that had are gone: begin again.
        return [Drop(own.version)]
    return _prepare(settled, own.version, own.files) or [Serve(own.version)]


def _follow(known: Known, now: float) -> list[Order]:
    """Let workers that booted later get what the others serve, and take calls once they do.

    They get none but verified files: what has changed is verified anew, when no other is on its way.
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
    """Let none prepare a version; what others do is left alone."""
    return [
        Tell(worker.index, control.Abandon())
        for worker in known.workers
        if version in (worker.preparing, worker.prepared)
    ]


def _failed(known: Known, own: Candidate, failure: Failure, now: float) -> HeldBack:
    """Until when not to try the candidate again, which failed; for ever unless that passes."""
    before = known.failed
    again = before is not None and before.looks_like(own.version, own.fingerprint)
    attempts = before.attempts + 1 if before is not None and again else 1
    pause = math.inf
    if failure.passing:
        first, longest = _COSTLY_PAUSE_SECONDS if failure.costly else _PAUSE_SECONDS
        # No power of 2 beyond what a float holds.
        pause = min(longest, first * 2.0 ** min(attempts - 1, 16)) * (0.75 + known.chance / 4)
        # Trying takes half of the time at the most.
        pause = max(pause, now - own.begun_at)
    return HeldBack(own.version, own.fingerprint, attempts, now + pause)


def _after(known: Known, orders: list[Order], now: float) -> Known:
    """What is known once these orders are carried out."""
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
