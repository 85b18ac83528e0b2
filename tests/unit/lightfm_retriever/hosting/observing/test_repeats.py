"""How often a line is logged."""

import logging

import pytest

from lightfm_retriever.hosting.observing import repeats
from tests.clock import Clock

clock = Clock(100.0)


@pytest.fixture
def say():
    filter_ = repeats.Repeats(clock=clock)

    def log(text, *args, error=None):
        info = error and (type(error), error, None)
        record = logging.LogRecord("x", logging.ERROR, "x", 1, text, args, info)
        return record.getMessage() if filter_.filter(record) else None

    return log


def test_a_line_comes_once_a_minute_and_tells_how_many_were_held_back(say):
    assert say("a %s", 1) == "a 1"
    assert [say("a %s", number) for number in range(3)] == [None] * 3
    clock.now += 59
    assert say("a %s", 2) is None
    clock.now += 1
    assert say("a %s", "50%") == "a 50% (and 4 times before, not logged)"
    clock.now += 60
    assert say("a %s", 3) == "a 3"
    # Another line or another error is told at once.
    errors = (None, ValueError(), KeyError(), KeyError("other"))
    assert [say("a", error=error) for error in errors] == ["a", "a", "a", None]
    assert say("b") == "b"
