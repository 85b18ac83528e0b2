from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trainer import timings
from trainer.timings import STAGES, Timings, in_order

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are told to."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(timings, "time", clock)
    return clock


def test_stages_have_their_seconds_in_their_order(clock):
    of = Timings()
    with of.stage("fit"):
        clock.now += 2.5
    clock.now += 40  # between stages
    with of.stage("a"):
        clock.now += 1 / 3
    assert list(of.seconds.items()) == [("fit", 2.5), ("a", 0.333333)]


def test_a_stage_that_fails_has_none(clock):
    of = Timings()
    with pytest.raises(ZeroDivisionError), of.stage("fit"):
        clock.now += 1 / 0
    assert of.seconds == {}


def test_the_beginning_is_by_the_clock_of_publications():
    of = Timings(lambda: NOON)
    assert of.started_at == of.clock() == NOON
    before = datetime.now(UTC)
    assert before <= Timings().started_at <= datetime.now(UTC)


def test_stages_are_sorted_as_they_happen_and_unknown_ones_follow_by_name():
    seconds = {name: float(number) for number, name in enumerate(["z", *reversed(STAGES), "a"])}
    assert [*in_order(seconds)] == [*STAGES, "a", "z"]
    assert in_order(seconds) == seconds
    assert in_order({}) == {}
