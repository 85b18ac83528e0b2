"""What holds for orders whatever is known, also what never comes to be known."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from retriever.failures import Failure
from retriever.parent.reloading.decisions import (
    CommitOrder,
    EndWorker,
    PrepareOrder,
    Serve,
    Verify,
    decide,
)
from retriever.parent.reloading.known import Candidate, HeldBack, Known, Refusal, Step, WorkerView
from retriever.parent.reloading.served_files import ServedFiles

OLD, NEW, OTHER = "old", "new", "other"
NOW = 100.0
FAILURES = Failure("broken"), Failure("no memory", passing=True), Failure("killed", True, True)
CHANGED = ServedFiles(OLD, found=None)

versions = st.sampled_from([OLD, NEW, OTHER])
some = st.none() | versions


@st.composite
def workers(draw):
    """Each is told one thing at a time."""
    return tuple(
        WorkerView(
            index,
            draw(st.sampled_from(["starting", "booted", "running", "down"])),
            draw(some),
            waits=draw(st.booleans()),
            **{draw(st.sampled_from(["preparing", "prepared", "committing"])): draw(some)},
        )
        for index in range(draw(st.integers(1, 4)))
    )


refusals = st.builds(
    Refusal, st.none() | st.just(0), versions, st.sampled_from(FAILURES), st.booleans()
)
everything = st.builds(
    Known,
    target=some,
    committed=some,
    served=st.sampled_from([ServedFiles(OLD), CHANGED, replace(CHANGED, verify_at=math.inf)]),
    candidate=st.none() | st.builds(Candidate, versions, step=st.sampled_from(Step)),
    failed=st.none()
    | st.builds(HeldBack, versions, st.just(()), st.just(1), st.sampled_from([0, 200])),
    refusals=st.lists(refusals, max_size=1).map(tuple),
    deaths=st.sampled_from([{}, {NEW: (-9,)}]),
    workers=workers(),
    verifying=st.booleans(),
)


@given(everything)
def test_no_order_is_given_twice(seen):
    after, orders = decide(seen, NOW)
    assert len({repr(order) for order in orders}) == len(orders)
    assert decide(after, NOW) == (after, [])


@given(everything)
def test_nothing_is_committed_before_all_workers_that_serve_have_prepared_it(seen):
    _, orders = decide(seen, NOW)
    ended = {order.worker for order in orders if isinstance(order, EndWorker)}
    for order in orders:
        if isinstance(order, CommitOrder):
            assert seen.workers[order.worker].prepared == order.version
        if isinstance(order, Serve):
            assert {worker.index for worker in seen.settled} <= ended
            assert order.version not in {w.preparing for w in seen.workers if w.index not in ended}


@given(everything)
def test_what_failed_is_not_begun_before_its_time(seen):
    after, orders = decide(seen, NOW)
    if after.candidate is not None and Verify(after.candidate.version) in orders:
        assert not after.blocks_target(NOW)


@given(everything)
def test_a_version_that_nobody_has_opened_yet_is_given_to_one_worker_only(seen):
    """It may kill whoever opens it."""
    _, orders = decide(seen, NOW)
    own = seen.candidate
    if own is not None and own.version not in {worker.prepared for worker in seen.workers}:
        given_to = [o for o in orders if isinstance(o, PrepareOrder) and o.version == own.version]
        assert len(given_to) <= 1 or own.version == seen.committed


@given(everything)
def test_a_label_that_cannot_be_read_begins_nothing_and_stops_nothing(seen):
    seen = replace(seen, refusals=())
    own = seen.candidate
    _, orders = decide(replace(seen, target=None), NOW)
    begun = [order for order in orders if isinstance(order, Verify)]
    assert begun in ([], [Verify(seen.committed)])
    if own is not None:
        _, same = decide(replace(seen, target=own.version), NOW)
        assert [order for order in orders if order not in begun] == [
            order for order in same if not isinstance(order, Verify)
        ]
