"""Which version isn't tried again, and until when."""

from __future__ import annotations

import pytest

from retriever.failures import Failure
from retriever.parent.reloading.failed_versions import FailedVersions
from retriever.parent.reloading.label_watch import Seen

FINAL = Failure("is broken")
PASSING = Failure("Too many open files", passing=True)
FILES = ("files",)


class Failed(FailedVersions):
    """With a clock that is moved by hand, and no chance."""

    def __init__(self):
        self.now = 0.0
        super().__init__(clock=lambda: self.now, chance=lambda: 1.0)

    def fails(self, version="a", failure=PASSING, fingerprint=FILES, took=0.0):
        return self.add(version, failure, fingerprint, took=took)


@pytest.fixture
def failed():
    return Failed()


def test_pauses_grow_to_half_a_minute_and_begin_anew_with_another_label(failed):
    pauses = []
    for _ in range(8):
        pauses.append(failed.fails())
        failed.now += pauses[-1] - 0.01
        assert failed.blocks("a")
        failed.now += 0.02
        assert not failed.blocks("a")
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    failed.look(Seen("b"))
    assert failed.fails() == 1


@pytest.mark.parametrize("seen", [Seen("b"), Seen("a", fingerprint=("others",))])
@pytest.mark.parametrize("failure", [FINAL, PASSING])
def test_another_label_or_other_files_may_be_tried_at_once(failed, failure, seen):
    failed.fails(failure=failure)
    failed.look(Seen("a", fingerprint=FILES))
    failed.look(Seen(None, "can't be read"))
    assert failed.blocks("a")
    failed.look(seen)
    assert not failed.blocks("a")


def test_what_is_final_is_not_tried_again_however_long_it_takes(failed):
    assert failed.fails(failure=FINAL) is None
    failed.now += 1e9
    failed.retry_now()
    assert failed.blocks("a")
    assert not failed.blocks("b")
    assert not failed.by_name["a"].passing


def test_what_passes_is_tried_at_once_when_asked_for_and_then_later_and_later(failed):
    failed.fails()
    failed.retry_now()
    assert not failed.blocks("a")
    assert failed.fails() == 2


def test_what_passes_is_tried_at_once_when_the_label_can_be_read_again(failed):
    """The volume was away, and with it what failed."""
    for _ in range(9):
        failed.fails()
    failed.look(Seen("a", fingerprint=FILES))
    failed.look(Seen(None, "the store doesn't answer"))
    assert failed.blocks("a")
    failed.look(Seen("a", fingerprint=FILES))
    assert not failed.blocks("a")
    assert failed.fails() == 30
    failed.look(Seen("a", fingerprint=FILES))
    assert failed.blocks("a")


def test_what_served_meanwhile_begins_anew(failed):
    for _ in range(5):
        failed.fails()
    failed.served("a")
    assert failed.by_name == {}
    assert not failed.blocks("a")
    assert failed.fails() == 1
