"""One verification at a time, and one that waits for its end."""

from __future__ import annotations

import threading

import pytest

from retriever.errors import UnverifiedError
from retriever.parent.reloading.verifications import Verifications


class Verifying:
    """What verifies; each ends when it is let, or with `obeys` when it isn't wanted any more."""

    def __init__(self, *, obeys):
        self.now = 0.0
        self.begun = []
        self.obeys = obeys
        self.most = self.running = 0
        self.news = threading.Semaphore(0)
        self.started = threading.Semaphore(0)
        self.may_end = {}
        self.all = Verifications(self.verify, self.news.release, clock=lambda: self.now)

    def verify(self, version, wanted):
        self.begun.append(version)
        self.running += 1
        self.most = max(self.most, self.running)
        self.started.release()
        end = self.may_end.setdefault(version, threading.Event())
        while not end.wait(0.01) and (wanted() or not self.obeys):
            pass
        self.running -= 1
        if not wanted():
            raise UnverifiedError(version, "isn't wanted any more")

    def begin(self, version):
        self.all.begin(version)

    def wait(self):
        """Until one ended; returns the result."""
        assert self.news.acquire(timeout=30)
        return self.all.result()

    def wait_for_a_start(self):
        assert self.started.acquire(timeout=30)


def test_the_last_one_asked_for_is_verified_and_never_two_at_once():
    verifying = Verifying(obeys=True)
    verifying.begin("v0")
    verifying.wait_for_a_start()
    for number in range(1, 40):
        verifying.begin(f"v{number}")
    # The one that was ended has no result.
    assert verifying.wait() is None
    verifying.wait_for_a_start()
    verifying.may_end.setdefault("v39", threading.Event()).set()
    result = verifying.wait()
    assert (result.version, result.problem) == ("v39", None)
    assert verifying.begun == ["v0", "v39"]
    assert verifying.most == 1


def test_the_same_version_asked_for_again_is_verified_again():
    """What the one that was ended found, or that it was ended, is no result of the other."""
    verifying = Verifying(obeys=True)
    for version in ("a", "b", "a"):
        verifying.begin(version)
    assert verifying.wait() is None
    verifying.may_end["a"].set()
    result = verifying.wait()
    assert (result.version, result.problem) == ("a", None)


def test_nobody_waits_for_what_was_abandoned():
    verifying = Verifying(obeys=True)
    verifying.begin("a")
    verifying.begin("b")
    verifying.all.abandon()
    assert verifying.wait() is None
    assert verifying.begun == ["a"]


def test_beside_one_that_cannot_be_ended_no_other_begins_and_the_problem_is_said():
    verifying = Verifying(obeys=False)
    verifying.begin("a")
    verifying.wait_for_a_start()
    verifying.now = 100.0
    assert verifying.all.problem() == ""
    verifying.begin("b")
    assert verifying.all.problem() == ""
    verifying.now = 112.0
    assert verifying.all.result() is None
    assert "the verification of a was ended 10 s ago" in verifying.all.problem()
    assert verifying.begun == ["a"]
    # That passes when it ends after all.
    verifying.may_end["a"].set()
    assert verifying.wait() is None
    assert verifying.all.problem() == ""
    verifying.wait_for_a_start()
    verifying.may_end["b"].set()
    assert verifying.wait().version == "b"


@pytest.mark.parametrize("error", [KeyError("x"), UnverifiedError("a", "is away")])
def test_what_was_wrong_is_handed_on(error):
    news = threading.Event()

    def verify(*_):
        raise error

    all_ = Verifications(verify, news.set)
    all_.begin("a")
    assert news.wait(30)
    assert all_.result().problem is error
