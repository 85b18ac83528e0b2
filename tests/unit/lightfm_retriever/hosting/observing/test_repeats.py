"""How often a line is logged."""

from __future__ import annotations

import logging

import pytest

from lightfm_retriever.hosting.observing import repeats
from lightfm_retriever.hosting.observing.repeats import Repeats
from tests.clock import Clock


@pytest.fixture
def clock():
    return Clock(100.0)


@pytest.fixture
def say(clock):
    """Logs a line; returns what came of it, None for nothing."""
    repeats = Repeats(clock=clock)

    def log(text, *args, error=None):
        info = None if error is None else (type(error), error, None)
        record = logging.LogRecord("x", logging.ERROR, "x", 1, text, args, info)
        return record.getMessage() if repeats.filter(record) else None

    return log


def test_a_line_comes_once_a_minute_and_tells_how_many_were_held_back(say, clock):
    assert say("a %s", 1) == "a 1"
    assert [say("a %s", number) for number in range(3)] == [None] * 3
    clock.now += 59
    assert say("a %s", 2) is None
    clock.now += 1
    assert say("a %s", "50%") == "a 50% (and 4 times before, not logged)"
    clock.now += 60
    assert say("a %s", 3) == "a 3"


def test_another_line_or_another_error_is_told_at_once(say):
    assert say("a") == "a"
    assert say("b") == "b"
    assert say("a", error=ValueError()) == "a"
    assert say("a", error=KeyError()) == "a"
    assert say("a", error=KeyError("other")) is None


def test_a_logger_of_calls_is_made_once():
    logger = repeats.logger_of_calls("tests.repeats")
    assert repeats.logger_of_calls("tests.repeats") is logger
    assert [type(own) for own in logger.filters] == [Repeats]


@pytest.mark.parametrize("name", ["grpc._server", "grpc._common"])
def test_grpc_says_what_calls_cause_once(name, caplog):
    repeats.quieten_grpc()
    for _ in range(3):
        logging.getLogger(name).error("Exception of %s", name)
    assert len(caplog.records) == 1
