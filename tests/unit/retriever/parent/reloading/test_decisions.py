"""What is to be done in which situation."""

import math
from dataclasses import replace

import pytest

from retriever import control
from retriever.failures import Failure
from retriever.parent.reloading.decisions import Drop, Fail, Lose, Report, Serve, Tell, Verify, decide
from retriever.parent.reloading.known import Candidate, Changeover, HeldBack, Known, Refusal, Step
from retriever.parent.reloading.served_files import ServedFiles
from retriever.parent.worker_process import WorkerView

OLD, NEW, OTHER = "old", "new", "other"
NOW = 100.0
FINAL, PASSING = Failure("broken"), Failure("no memory", passing=True)
COSTLY = Failure("killed", passing=True, costly=True)
CHANGED = ServedFiles(OLD, found=None)
SERVES, BOOTED, DOWN = {"version": OLD}, {"state": "booted", "waits": True}, {"state": "down"}
STARTING, RUNNING = {"state": "starting"}, {"state": "running"}
PREPARING, PREPARED = {**SERVES, "preparing": NEW}, {**SERVES, "prepared": NEW}
PARTLY, WHOLLY = (Changeover(NEW, 1.0, frozenset(waiting), (2.0,)) for waiting in ({1}, ()))
VERIFYING, VERIFIED, ON = Step


def known(*workers, target=NEW, committed=OLD, step=None, **others):
    """What is known while `NEW` is at this step, begun 10 s ago."""
    candidate = None if step is None else Candidate(NEW, NOW - 10, step=step)
    rows = tuple(WorkerView(index, **worker) for index, worker in enumerate(workers))
    return Known(target=target, committed=committed, candidate=candidate, workers=rows, **others)


def refusal(worker, version, failure=FINAL, **others):
    return {"refusals": (Refusal(worker, version, failure, **others),)}


def failed(attempts=1, again_at=math.inf, fingerprint=()):
    return HeldBack(NEW, fingerprint, attempts, again_at)


def fails(failure=FINAL, attempts=1, pause=math.inf, took=10.0):
    return Fail(failure, failed(attempts, NOW + pause), took)


Prepare, Commit, LISTEN, FORGET = control.Prepare, control.Commit, control.Listen(), control.Abandon()
NO, NOT_NOW = "can't prepare old: broken", "can't prepare old: no memory"
BOTH = SERVES, SERVES

SITUATIONS = {
    # ---- nothing is on its way
    "the label can't be read": (known(*BOTH, target=None), []),
    "what the label names serves": (known(*BOTH, target=OLD), []),
    "the label names another one": (known(*BOTH), [Verify(NEW)]),
    "nothing serves yet": (known(RUNNING, committed=None), [Verify(NEW)]),
    "it failed, and its time hasn't come": (known(*BOTH, failed=failed(1, NOW + 1)), []),
    "it failed, and its time has come": (known(*BOTH, failed=failed(1, NOW)), [Verify(NEW)]),
    "it failed with other files": (known(*BOTH, failed=failed(fingerprint=(1,))), [Verify(NEW)]),
    # ---- it is being verified
    "it is being verified": (known(*BOTH, step=VERIFYING), []),
    "the label moves on meanwhile":
        (known(*BOTH, target=OTHER, step=VERIFYING), [Drop(NEW), Verify(OTHER)]),
    "it can't be verified": (known(*BOTH, step=VERIFYING, **refusal(None, NEW)), [fails()]),
    # ---- one worker prepares it
    "it is verified": (known(*BOTH, step=VERIFIED), [Tell(0, Prepare(NEW))]),
    "it is verified, and the first of all":
        (known(RUNNING, RUNNING, committed=None, step=VERIFIED), [Tell(0, Prepare(NEW))]),
    "a worker boots": (known(SERVES, STARTING, step=VERIFIED), []),
    "a worker joins": (known(SERVES, {"preparing": OLD}, step=VERIFIED), []),
    "a worker still changes over": (known(SERVES, {"committing": OLD}, step=VERIFIED), []),
    "a worker is away": (known(DOWN, SERVES, step=VERIFIED), [Tell(1, Prepare(NEW))]),
    "a worker is away that it may have killed":
        (known(DOWN, SERVES, step=VERIFIED, deaths={NEW: (-9,)}), []),
    "the worker that it may have killed is back":
        (known(*BOTH, step=VERIFIED, deaths={NEW: (-9,)}), [Tell(0, Prepare(NEW))]),
    "all workers are away": (known(DOWN, DOWN, step=VERIFIED), []),
    # ---- the others prepare it
    "the first prepares it": (known(PREPARING, SERVES, step=ON), []),
    "the first has":
        (known(PREPARED, SERVES, SERVES, step=ON), [Tell(1, Prepare(NEW)), Tell(2, Prepare(NEW))]),
    "the first died": (known(DOWN, SERVES, step=ON), [Drop(NEW), Verify(NEW)]),
    "one of the others hasn't": (known(PREPARED, PREPARED, PREPARING, step=ON), []),
    "one can't": (
        known(PREPARED, PREPARING, SERVES, step=ON, **refusal(2, NEW)),
        [Tell(0, FORGET), Tell(1, FORGET), fails(Failure("worker 2: broken"))],
    ),
    "two can't": (
        known(*BOTH, step=ON, refusals=(Refusal(0, NEW, FINAL), Refusal(1, NEW, PASSING))),
        [fails(Failure("worker 0: broken"))],
    ),
    "the label moves back while they do": (
        known(PREPARED, PREPARING, {"preparing": OLD}, target=OLD, step=ON),
        [Tell(0, FORGET), Tell(1, FORGET), Drop(NEW)],
    ),
    # ---- all change over
    "all have":
        (known(PREPARED, PREPARED, step=ON), [Serve(NEW), Tell(0, Commit(NEW)), Tell(1, Commit(NEW))]),
    "all that are there have":
        (known(PREPARED, DOWN, STARTING, step=ON), [Serve(NEW), Tell(0, Commit(NEW))]),
    "all have, and the label can't be read":
        (known(PREPARED, target=None, step=ON), [Serve(NEW), Tell(0, Commit(NEW))]),
    "all have, and one booted meanwhile": (
        known({"prepared": NEW}, BOOTED, {"preparing": NEW}, committed=None, step=ON),
        [Tell(1, LISTEN)],
    ),
    "some have changed over":
        (known({"version": NEW}, {"committing": NEW}, committed=NEW, changeover=PARTLY), []),
    "the last one has": (known({"version": NEW}, committed=NEW, changeover=WHOLLY), [Report(WHOLLY)]),
    "all died instead": (known(DOWN, committed=NEW, changeover=Changeover(NEW, 1.0, frozenset())), []),
    # ---- a worker comes later
    "it booted, and nothing serves": (known(BOOTED, target=None, committed=None), [Tell(0, LISTEN)]),
    "it booted, and others serve": (known(SERVES, BOOTED, target=OLD), [Tell(1, Prepare(OLD))]),
    "it has prepared what serves":
        (known(SERVES, {"prepared": OLD}, target=OLD), [Tell(1, Commit(OLD))]),
    "it was told to commit": (known(SERVES, {"committing": OLD}, target=OLD), []),
    "it serves": (known({**BOOTED, **SERVES}, target=OLD), [Tell(0, LISTEN)]),
    "it has prepared what serves no more":
        (known(SERVES, {"prepared": OTHER}, target=OLD), [Tell(1, FORGET), Tell(1, Prepare(OLD))]),
    "it takes too long with what serves no more": (
        known(SERVES, {"preparing": OTHER}, target=OLD, **refusal(1, OTHER, COSTLY)),
        [Tell(1, FORGET), Tell(1, Prepare(OLD))],
    ),
    "it can't prepare what serves no more":
        (known(SERVES, BOOTED, target=OLD, **refusal(1, OTHER)), [Tell(1, Prepare(OLD))]),
    "it can't prepare what others serve":
        (known(SERVES, BOOTED, target=OLD, **refusal(1, OLD)), [Tell(1, None, NO)]),
    "it can't prepare what others are told to serve":
        (known({"committing": OLD}, BOOTED, target=OLD, **refusal(1, OLD)), [Tell(1, None, NO)]),
    "it finds other files": (
        known(SERVES, BOOTED, target=OLD, served=CHANGED, **refusal(1, OLD, PASSING, changed=True)),
        [Tell(1, FORGET), Verify(OLD)],
    ),
    # ---- nobody serves what is to serve
    "nobody can, for good":
        (known(RUNNING, target=None, **refusal(0, OLD)), [Tell(0, FORGET, NO), Lose(OLD)]),
    "nobody can for now, and the label names another one": (
        known(RUNNING, **refusal(0, OLD, PASSING)),
        [Tell(0, FORGET, NOT_NOW), Lose(OLD), Verify(NEW)],
    ),
    "nobody can for now, and the label names the same": (
        known(RUNNING, target=OLD, **refusal(0, OLD, PASSING)),
        [Tell(0, FORGET, NOT_NOW), Lose(OLD), Verify(OLD)],
    ),
    "nobody can for now, and the label can't be read":
        (known(RUNNING, target=None, **refusal(0, OLD, PASSING)), [Tell(0, None, NOT_NOW)]),
    "nobody can for now, and what the label names failed":
        (known(RUNNING, failed=failed(), **refusal(0, OLD, PASSING)), [Tell(0, None, NOT_NOW)]),
    "two died as they joined nobody": (known(DOWN, target=None, **refusal(None, OLD)), [Lose(OLD)]),
    "two died as they joined others": (known(DOWN, SERVES, target=OLD, **refusal(None, OLD)), []),
    # ---- the files of what serves have changed
    "nobody knows what they are": (known(*BOTH, target=OLD, served=CHANGED), [Verify(OLD)]),
    "they are being verified": (known(*BOTH, target=OLD, served=CHANGED, verifying=True), []),
    "they are wrong":
        (known(SERVES, BOOTED, target=OLD, served=replace(CHANGED, verify_at=math.inf)), []),
    "the next version waits for none who waits for them":
        (known(SERVES, BOOTED, step=VERIFIED, served=CHANGED), [Tell(0, Prepare(NEW))]),
    "nobody serves them":
        (known(BOOTED, target=OLD, served=CHANGED), [Lose(OLD), Verify(OLD), Tell(0, LISTEN)]),
}  # fmt: skip


@pytest.mark.parametrize(("known", "orders"), SITUATIONS.values(), ids=SITUATIONS)
def test_the_orders_in_a_situation(known, orders):
    after, given = decide(known, NOW)
    assert given == orders
    # And none of them again.
    assert decide(after, NOW) == (after, [])


@pytest.mark.parametrize(
    ("before", "failure", "took", "pause"),
    [
        (0, FINAL, 0, math.inf), (5, FINAL, 0, math.inf),
        (0, PASSING, 0, 1), (1, PASSING, 0, 2), (4, PASSING, 0, 16), (5, PASSING, 0, 30),
        (10**6, PASSING, 0, 30), (0, PASSING, 300, 300),
        (0, COSTLY, 0, 30), (1, COSTLY, 0, 60), (4, COSTLY, 0, 480), (5, COSTLY, 0, 600),
    ],
)  # fmt: skip
def test_pauses_double_up_to_an_end_and_are_no_shorter_than_the_attempt_was(
    before, failure, took, pause
):
    seen = known(SERVES, failed=failed(before, NOW) if before else None, **refusal(None, NEW, failure))
    for chance, share in ((1.0, 1), (0.0, 0.75)):
        tried = replace(seen, candidate=Candidate(NEW, NOW - took), chance=chance)
        expected = fails(failure, before + 1, max(pause * share, took), took)
        assert decide(tried, NOW)[1] == [expected]


def test_other_files_are_tried_at_once_and_their_attempts_counted_anew():
    """What was found broken is what was there when it began."""
    seen = known(*BOTH, failed=failed(7, math.inf, ("others",)), fingerprint=("before",))
    begun, _ = decide(seen, NOW)
    changed = replace(begun, fingerprint=("after",), **refusal(None, NEW))
    failure, *then = decide(changed, NOW)[1]
    assert (failure.failed.attempts, then) == (1, [Verify(NEW)])


@pytest.mark.parametrize("version", [NEW, OTHER])
def test_what_failed_has_failed_until_it_serves(version):
    before = HeldBack(version, (), 1, math.inf)
    after, _ = decide(known(PREPARED, target=None, step=ON, failed=before, deaths={NEW: (-9,)}), NOW)
    assert after.failed == (before if version == OTHER else None)
    assert after.deaths == {}
