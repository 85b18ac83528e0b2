from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever.parent.reloading.version_policy import (
    Action,
    Candidate,
    Observed,
    Step,
    decide,
    gives_up,
    pause_seconds,
)

OLD, NEW, OTHER = "old", "new", "other"


def observed(
    target=NEW, committed=OLD, *, failed=False, step=None, waiting=0, prepared=0, settled=2, **others
):
    candidate = None if step is None else Candidate(NEW, step, waiting, prepared)
    return Observed(target, committed, failed, candidate, settled, **{"joining": 0, **others})


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        # Nothing on its way.
        (observed(target=None, committed=None), Action.NOTHING),
        (observed(target=None), Action.NOTHING),
        (observed(target=OLD), Action.NOTHING),
        (observed(), Action.VERIFY),
        (observed(committed=None), Action.VERIFY),
        (observed(committed=None, settled=0, joining=2), Action.VERIFY),
        (observed(settled=0), Action.VERIFY),
        (observed(failed=True), Action.NOTHING),
        (observed(failed=True, committed=None), Action.NOTHING),
        # Verifying: there is nothing to do but wait.
        (observed(step=Step.VERIFYING), Action.NOTHING),
        (observed(target=None, step=Step.VERIFYING), Action.NOTHING),
        (observed(target=OTHER, step=Step.VERIFYING), Action.ABANDON),
        (observed(target=OLD, step=Step.VERIFYING), Action.ABANDON),
        # Verified: one worker prepares it, unless some are on their way somewhere.
        (observed(step=Step.VERIFIED), Action.PREPARE_ONE),
        (observed(step=Step.VERIFIED, committed=None), Action.PREPARE_ONE),
        (observed(target=None, step=Step.VERIFIED), Action.PREPARE_ONE),
        (observed(step=Step.VERIFIED, settled=1, joining=1), Action.NOTHING),
        (observed(step=Step.VERIFIED, settled=0, joining=2), Action.NOTHING),
        (observed(step=Step.VERIFIED, settled=0), Action.NOTHING),
        (observed(step=Step.VERIFIED, settled=1), Action.PREPARE_ONE),
        (observed(target=OTHER, step=Step.VERIFIED), Action.ABANDON),
        # It may have killed a worker: another one gets it when all are back.
        (observed(step=Step.VERIFIED, settled=1, down=1), Action.PREPARE_ONE),
        (observed(step=Step.VERIFIED, settled=1, down=1, suspect=True), Action.NOTHING),
        (observed(step=Step.VERIFIED, settled=1, joining=1, suspect=True), Action.NOTHING),
        (observed(step=Step.VERIFIED, settled=2, suspect=True), Action.PREPARE_ONE),
        # One is preparing: the others wait for its answer, and go on to serve.
        (observed(step=Step.PREPARING, waiting=1, settled=1), Action.NOTHING),
        (observed(step=Step.PREPARING, waiting=1, settled=0), Action.NOTHING),
        (observed(step=Step.PREPARING, waiting=1, settled=2, joining=1), Action.NOTHING),
        (observed(target=OTHER, step=Step.PREPARING, waiting=1), Action.ABANDON),
        # It has: then the others, also one that came meanwhile.
        (observed(step=Step.PREPARING, prepared=1), Action.PREPARE_REST),
        (observed(step=Step.PREPARING, prepared=1, settled=1), Action.PREPARE_REST),
        (observed(step=Step.PREPARING, prepared=1, settled=1, joining=1), Action.PREPARE_REST),
        (observed(step=Step.PREPARING, prepared=2, settled=1), Action.PREPARE_REST),
        (observed(target=None, step=Step.PREPARING, prepared=1), Action.PREPARE_REST),
        (observed(target=OTHER, step=Step.PREPARING, prepared=1), Action.ABANDON),
        # All are: the last answer decides.
        (observed(step=Step.PREPARING, waiting=2, prepared=1, settled=0), Action.NOTHING),
        (observed(step=Step.PREPARING, waiting=1, prepared=1, settled=1), Action.NOTHING),
        (observed(step=Step.PREPARING, prepared=2, settled=0), Action.COMMIT),
        (observed(step=Step.PREPARING, prepared=1, settled=0), Action.COMMIT),
        (observed(step=Step.PREPARING, prepared=2, settled=0, joining=1), Action.COMMIT),
        (observed(target=None, step=Step.PREPARING, prepared=2, settled=0), Action.COMMIT),
        (observed(target=OTHER, step=Step.PREPARING, waiting=1, prepared=1), Action.ABANDON),
        (observed(target=OTHER, step=Step.PREPARING, prepared=2, settled=0), Action.ABANDON),
        (observed(target=OLD, step=Step.PREPARING, prepared=2, settled=0), Action.ABANDON),
        # Those that prepared it are gone.
        (observed(step=Step.PREPARING), Action.ABANDON),
        (observed(step=Step.PREPARING, settled=0), Action.ABANDON),
        (observed(step=Step.PREPARING, settled=0, joining=2), Action.ABANDON),
    ],
    ids=str,
)
def test_the_next_step(seen, action):
    assert decide(seen) is action


versions = st.sampled_from([OLD, NEW, OTHER])
counts = st.integers(0, 3)
observations = st.builds(
    Observed,
    target=st.none() | versions,
    committed=st.none() | versions,
    failed=st.booleans(),
    candidate=st.none()
    | st.builds(Candidate, versions, st.sampled_from(Step), waiting=counts, prepared=counts),
    settled=counts,
    joining=counts,
    down=counts,
    suspect=st.booleans(),
)


@given(observations)
def test_nothing_is_committed_before_every_worker_has_answered_and_all_that_can_are_ready(seen):
    if decide(seen) is Action.COMMIT:
        assert seen.candidate.step is Step.PREPARING
        assert seen.candidate.waiting == 0
        assert seen.candidate.prepared > 0
        assert seen.settled == 0
        assert seen.target in (None, seen.candidate.version)


@given(observations)
def test_a_label_that_cannot_be_read_changes_nothing(seen):
    """It begins nothing and stops nothing: what happens is what would if it still named the same."""
    unreadable = replace(seen, target=None)
    if seen.candidate is None:
        assert decide(unreadable) is Action.NOTHING
    else:
        same = replace(seen, target=seen.candidate.version)
        assert decide(unreadable) is decide(same)


@given(observations)
def test_what_failed_or_serves_is_not_begun(seen):
    seen = replace(seen, candidate=None)
    begun = decide(seen) is Action.VERIFY
    assert begun == (seen.target not in (None, seen.committed) and not seen.failed)


@given(observations, st.sampled_from(Step), st.sampled_from([OLD, NEW]))
def test_a_label_that_moved_on_ends_what_is_on_its_way(seen, step, target):
    moved_on = replace(seen, target=target, candidate=Candidate(OTHER, step, prepared=1))
    assert decide(moved_on) is Action.ABANDON


@given(observations)
def test_a_step_is_only_taken_from_the_one_before_it(seen):
    step = None if seen.candidate is None else seen.candidate.step
    action = decide(seen)
    assert (action is Action.VERIFY) <= (step is None)
    assert (action is Action.PREPARE_ONE) <= (step is Step.VERIFIED)
    assert (action is Action.PREPARE_REST) <= (step is Step.PREPARING)
    assert (action is Action.COMMIT) <= (step is Step.PREPARING)
    assert (action is Action.ABANDON) <= (step is not None)


@given(observations)
def test_nobody_begins_to_prepare_while_some_are_on_their_way(seen):
    if decide(seen) is Action.PREPARE_ONE:
        assert seen.joining == 0
        assert seen.settled > 0


@given(observations)
def test_a_version_that_nobody_has_opened_yet_is_given_to_one_worker_only(seen):
    """It may kill whoever opens it."""
    if decide(seen) is Action.PREPARE_ONE:
        assert not (seen.suspect and seen.down)
    if decide(seen) is Action.PREPARE_REST:
        assert seen.candidate.prepared > 0
        assert seen.candidate.waiting == 0
        assert seen.settled > 0


def everything():
    """Every observation of up to two workers."""
    candidates = [None] + [
        Candidate(version, step, waiting, prepared)
        for version, step, waiting, prepared in itertools.product([OLD, NEW], Step, range(3), range(3))
    ]
    for seen in itertools.product(
        *([None, OLD, NEW], [None, OLD, NEW], [False, True], candidates, range(3), range(3)),
        *(range(2), [False, True]),
    ):
        yield Observed(*seen)


def test_every_action_can_be_reached_and_every_observation_has_one():
    assert {decide(seen) for seen in everything()} == {*Action}


def test_a_decision_carried_out_leads_to_another():
    """The supervisor decides again at once until there is nothing to do: that must end."""
    for seen in everything():
        steps = 0
        while (action := decide(seen)) is not Action.NOTHING:
            seen = carried_out(seen, action)
            steps += 1
            assert steps <= 3


def carried_out(seen, action):
    """What `Reload` observes after doing it, while no worker has answered."""
    if action is Action.VERIFY:
        return replace(seen, candidate=Candidate(seen.target, Step.VERIFYING))
    version = seen.candidate.version
    if action is Action.PREPARE_ONE:
        one = Candidate(version, Step.PREPARING, waiting=1)
        return replace(seen, candidate=one, settled=seen.settled - 1)
    if action is Action.PREPARE_REST:
        waiting = replace(seen.candidate, waiting=seen.settled)
        return replace(seen, candidate=waiting, settled=0)
    if action is Action.COMMIT:
        return replace(seen, candidate=None, committed=version)
    return replace(seen, candidate=None)


# ---- when again, and when no more


@pytest.mark.parametrize(
    ("attempts", "costly", "pause"),
    [
        (1, False, 1), (2, False, 2), (5, False, 16), (6, False, 30), (10**6, False, 30),
        (1, True, 30), (2, True, 60), (5, True, 480), (6, True, 600), (10**6, True, 600),
    ],
)  # fmt: skip
def test_pauses_double_up_to_an_end(attempts, costly, pause):
    assert pause_seconds(attempts, took=0, costly=costly, chance=1.0) == pause
    assert pause_seconds(attempts, took=0, costly=costly, chance=0.0) == 0.75 * pause


def test_a_pause_is_no_shorter_than_the_attempt_was():
    assert pause_seconds(1, took=300.0, costly=False, chance=0.5) == 300


@pytest.mark.parametrize(
    ("target", "target_failed", "passing", "expected"),
    [
        (OLD, False, False, True),
        (None, False, False, True),
        (NEW, True, False, True),
        (NEW, False, True, True),
        (OLD, False, True, True),
        (NEW, True, True, False),
        (None, False, True, False),
    ],
)
def test_what_serves_is_given_up_for_what_passes_only_where_there_is_something_to_begin_with(
    target, target_failed, passing, expected
):
    assert gives_up(target, target_failed=target_failed, passing=passing) is expected
