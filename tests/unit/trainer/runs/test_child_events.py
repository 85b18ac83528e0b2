import io

import msgspec
import pytest

from tests.clock import Clock
from trainer.promotion.gates import GateResult
from trainer.runs.child_events import EventWriter, Finished, Metrics, Progress, RunFailed, decode

GATE = GateResult("min_auc", False, None, 0.5, "AUC isn't known")
EVENTS = [
    Progress("fit\nand on", 1, 2**63 - 1, 0.5),
    Metrics({"test_auc": 0.5, "映画": None}),
    RunFailed("no\u2028such\r\nfile"),
    Finished("v", True, {"a": None}, [GATE], ["w"], {"fit": 1.5}, [None]),
]


@pytest.fixture
def clock():
    return Clock(100.0)


@pytest.fixture
def file():
    return io.BytesIO()


@pytest.fixture
def writer(file, clock):
    """Each event has to leave its buffer."""
    return EventWriter(io.BufferedRandom(file), clock=clock)


def told(file):
    return [decode(line) for line in file.getvalue().splitlines()]


def test_events_are_read_as_they_were_written_at_once_a_line_each(file, writer):
    for event in EVENTS:
        writer.write(event)
    writer.stage("evaluate")
    writer.metrics({"test_auc": 0.5, "nan": float("nan"), "inf": float("inf")})
    metrics = Metrics({"test_auc": 0.5, "nan": None, "inf": None})
    assert told(file) == [*EVENTS, Progress("evaluate", 0, 0, None), metrics]


def test_what_is_no_event_is_an_error():
    cut, many = b'{"type": "RunFailed", "error": "c', b'{"type": "Progress", "stage": "", "done": "m"}'
    for line in (b"Epoch 1", b'{"type": "Unknown"}', many, cut, b"\xff"):
        with pytest.raises(msgspec.MsgspecError):
            decode(line)


@pytest.mark.parametrize(
    ("total", "parts", "expected"),
    [
        (4, [1, 2, 1], [(0, None), (1, 6.0), (3, 4 / 3), (4, 0.0)]),
        (0, [], [(0, None)]),
        # One that goes too far.
        (2, [0, 3], [(0, None), (0, None), (3, 0.0)]),
    ],
)
def test_a_step_is_told_with_the_time_that_is_left(file, writer, clock, total, parts, expected):
    with writer.step("Training, epochs", total) as advance:
        for part in parts:
            clock.now += 2
            advance(part)
    assert told(file) == [Progress("Training, epochs", done, total, left) for done, left in expected]


def test_a_quick_step_is_told_ten_times_a_second_and_at_its_end(file, writer, clock):
    with writer.step("Index 'similar', items", 1005) as advance:
        for _ in range(1005):
            clock.now += 0.001
            advance(1)
    events = told(file)
    assert 10 <= len(events) <= 12
    assert (events[0].done, events[-1].done, events[-1].seconds_left) == (0, 1005, 0.0)
    assert [event.done for event in events] == sorted({event.done for event in events})
