import pytest

from tests.clock import Clock
from trainer import timings
from trainer.timings import STAGES, Timings, in_order


def test_stages_have_their_seconds_in_their_order_unless_they_fail(monkeypatch):
    clock = Clock(100.0)
    monkeypatch.setattr(timings.time, "perf_counter", clock)
    begun = []
    of = Timings(on_stage=begun.append)
    with of.stage("fit"):
        clock.now += 2.5
    clock.now += 40  # between stages
    with of.stage("a"):
        clock.now += 1 / 3
    with pytest.raises(ZeroDivisionError), of.stage("verify"):
        clock.now += 1 / 0
    assert begun == ["fit", "a", "verify"]
    assert list(of.seconds.items()) == [("fit", 2.5), ("a", 0.333333)]


def test_stages_are_sorted_as_they_happen_and_unknown_ones_follow_by_name():
    seconds = {name: float(number) for number, name in enumerate(["z", *reversed(STAGES), "a"])}
    assert [*in_order(seconds)] == [*STAGES, "a", "z"]
    assert in_order(seconds) == seconds
