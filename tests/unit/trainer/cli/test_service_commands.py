from __future__ import annotations

from contextlib import contextmanager

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.cli.service_commands import follow
from trainer.progress import Silent


class Recorder(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    @contextmanager
    def step(self, name, total):
        self.told.append(("begin", name, total))
        yield lambda parts: self.told.append(parts)
        self.told.append(("end", name))


def states(*rows):
    return iter([pb.TrainingRun(stage=stage, done=done, total=total) for stage, done, total in rows])


@pytest.fixture
def recorder():
    return Recorder()


def test_steps_are_shown_as_ones_own(recorder):
    last = follow(
        states(
            ("", 0, 0),
            ("fit", 0, 0),
            ("Training, epochs", 0, 4),
            ("Training, epochs", 1, 4),
            ("Training, epochs", 4, 4),
            ("evaluate", 0, 0),
            ("Index 'similar', items", 0, 10),
            ("Index 'similar', items", 10, 10),
            ("done", 0, 0),
        ),
        recorder,
    )
    assert recorder.told == [
        ("begin", "Training, epochs", 4),
        1,
        3,
        ("end", "Training, epochs"),
        ("begin", "Index 'similar', items", 10),
        10,
        ("end", "Index 'similar', items"),
    ]
    assert last.stage == "done"


def test_what_was_not_seen_of_a_step_is_done_when_the_next_one_begins(recorder):
    # Who comes in the middle sees what is done already.
    follow(states(("a", 3, 5), ("a", 4, 5), ("b", 1, 2)), recorder)
    assert recorder.told == [
        *[("begin", "a", 5), 3, 1, 1, ("end", "a")],
        # Nobody knows that of the last one.
        *[("begin", "b", 2), 1, ("end", "b")],
    ]


def test_a_connection_that_breaks_ends_the_step(recorder):
    def broken():
        yield pb.TrainingRun(stage="Training, epochs", done=1, total=4)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        follow(broken(), recorder)
    assert recorder.told[:2] == [("begin", "Training, epochs", 4), 1]
