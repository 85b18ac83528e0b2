"""What happens, and what is known after it."""

import math
from dataclasses import replace

import pytest

from retriever.parent.reloading.known import HeldBack, Known, Step
from retriever.parent.reloading.label_watch import Seen
from retriever.parent.worker_process import WorkerView

NOW = 100.0
FILES = ("files",)
FOR_NOW, FOR_GOOD = (HeldBack("a", FILES, 3, again_at) for again_at in (NOW + 4, math.inf))
SEEN, UNREADABLE = Seen("a", fingerprint=FILES), Seen(None, "can't be read")


def after(failed, *looks):
    known = Known(failed=failed, target="a", fingerprint=FILES)
    for seen in looks:
        known = known.looked(seen, NOW)
    return known


@pytest.mark.parametrize("seen", [Seen("b"), Seen("a", fingerprint=("others",))])
@pytest.mark.parametrize("failed", [FOR_NOW, FOR_GOOD])
def test_another_label_or_other_files_may_be_tried_at_once(failed, seen):
    assert after(failed, SEEN).blocks_target(NOW)
    assert not after(failed, seen).blocks_target(NOW)
    assert not after(failed, seen, SEEN).blocks_target(NOW)


def test_what_passes_is_tried_at_once_when_the_label_can_be_read_again_or_somebody_asks():
    """The volume was away, and with it what failed. The next pause is no shorter than it would be."""
    for known in (after(FOR_NOW, UNREADABLE, SEEN), after(FOR_NOW).retried(NOW)):
        assert not known.blocks_target(NOW)
        assert known.failed.attempts == FOR_NOW.attempts
    assert after(FOR_NOW, UNREADABLE).failed == FOR_NOW
    # What is final isn't, whoever asks.
    for known in (after(FOR_GOOD, UNREADABLE, SEEN), after(FOR_GOOD).retried(NOW)):
        assert known.blocks_target(1e9)


def test_deaths_count_only_of_what_may_come_next_or_nobody_serves():
    known = Known(committed="a", workers=(WorkerView(0, version="a"), WorkerView(1)))
    # Nobody waits for a verification either.
    assert known.verified("b", {}, NOW) == known
    for preparing in (None, "a", "b"):
        assert known.gone(1, preparing=preparing, status=-9) == known
    lost = replace(known, workers=(WorkerView(0), WorkerView(1)))
    once = lost.gone(1, preparing="a", status=-9)
    assert (once.deaths, once.refusals) == ({"a": (-9,)}, ())
    twice = once.gone(0, preparing="a", status=-11)
    [refusal] = twice.refusals
    assert (twice.deaths, refusal.worker, refusal.version) == ({}, None, "a")
    assert refusal.failure.passing


def test_the_steps_have_the_names_that_the_status_tells():
    assert [step.name for step in Step] == ["VERIFYING", "VERIFIED", "PREPARING"]
