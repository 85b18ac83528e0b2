"""One verification at a time, and one that waits for its end."""

import threading
from collections import defaultdict
from unittest import mock

import pytest

from retriever.errors import UnverifiedError
from retriever.parent.reloading.verifications import Verifications


class Verifying:
    """What verifies; each ends when it is let, or with `obeys` when it isn't wanted any more."""

    def __init__(self, *, obeys=True):
        self.now, self.begun, self.running, self.obeys = 0.0, [], 0, obeys
        self.news, self.started = threading.Semaphore(0), threading.Semaphore(0)
        self.may_end = defaultdict(threading.Event)
        self.all = Verifications(self.verify, self.news.release, clock=lambda: self.now)

    def verify(self, version, wanted):
        assert not self.running
        self.begun.append(version)
        self.running += 1
        self.started.release()
        end = self.may_end[version]
        while not end.wait(0.01) and (wanted() or not self.obeys):
            pass
        self.running -= 1
        if not wanted():
            raise UnverifiedError(version, "isn't wanted any more")

    def wait(self):
        """Until one ended; returns the result."""
        assert self.news.acquire(timeout=30)
        result = self.all.result()
        return result and (result.version, result.problem)

    def wait_for_a_start(self):
        assert self.started.acquire(timeout=30)


@pytest.mark.parametrize("last", ["a", "v39"])
def test_the_last_one_asked_for_is_verified_and_never_two_at_once(last):
    """Though it is the same again: what the one that was ended found is no result of the other."""
    verifying = Verifying()
    assert not verifying.all.busy
    verifying.all.begin("a")
    verifying.wait_for_a_start()
    for version in (*(f"v{number}" for number in range(40)), last):
        verifying.all.begin(version)
    # The one that was ended has no result.
    assert verifying.wait() is None
    verifying.wait_for_a_start()
    assert verifying.all.busy
    verifying.may_end[last].set()
    assert verifying.wait() == (last, None)
    # Nobody waits for what was abandoned.
    for version in ("x", "y"):
        verifying.all.begin(version)
    verifying.all.abandon()
    assert verifying.wait() is None
    assert (verifying.begun, verifying.all.busy) == (["a", last, "x"], False)


def test_beside_one_that_cannot_be_ended_no_other_begins_and_the_problem_is_said():
    verifying = Verifying(obeys=False)
    verifying.all.begin("a")
    verifying.wait_for_a_start()
    verifying.now = 100.0
    assert verifying.all.problem() == ""
    verifying.all.begin("b")
    for now, problem in (
        (104.9, ""),
        (105.0, "was cancelled 5 s ago"),
        (112.0, "was cancelled 10 s ago"),
    ):
        verifying.now = now
        told = verifying.all.problem()
        assert told == "" if problem == "" else f"the verification of a {problem}" in told
    assert verifying.all.result() is None
    assert verifying.begun == ["a"]
    # That passes when it ends after all.
    verifying.may_end["a"].set()
    assert verifying.wait() is None
    assert verifying.all.problem() == ""
    verifying.wait_for_a_start()
    verifying.may_end["b"].set()
    assert verifying.wait() == ("b", None)


def test_what_was_wrong_is_handed_on_also_when_memory_lacks_for_a_moment():
    error, news, lacking = KeyError("x"), threading.Event(), [MemoryError()]

    def wake_up():
        if lacking:
            raise lacking.pop()
        news.set()

    verifications = Verifications(mock.Mock(side_effect=error), wake_up)
    verifications.begin("a")
    assert news.wait(30)
    assert verifications.result().problem is error
