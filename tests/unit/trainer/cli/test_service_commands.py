from contextlib import contextmanager

import grpc
import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from trainer.__main__ import main
from trainer.cli.service_commands import follow
from trainer.client import TrainerCallError, TrainerClient
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


def followed(*rows):
    """What is told of states, and the last of them."""
    recorder = Recorder()
    states = (pb.TrainingRun(stage=stage, done=done, total=total) for stage, done, total in rows)
    return recorder.told, follow(states, recorder)


def test_steps_are_shown_as_ones_own():
    training, index = "Training, epochs", "Index 'similar', items"
    told, last = followed(
        *[("", 0, 0), ("fit", 0, 0), (training, 0, 4), (training, 1, 4), (training, 4, 4)],
        *[("evaluate", 0, 0), (index, 0, 10), (index, 10, 10), ("done", 0, 0)],
    )
    assert told == [
        *[("begin", training, 4), 1, 3, ("end", training)],
        *[("begin", index, 10), 10, ("end", index)],
    ]
    assert last.stage == "done"
    # What was not seen of a step is done when the next one begins; nobody knows it of the last one.
    told, _ = followed(("a", 3, 5), ("a", 4, 5), ("b", 1, 2))
    assert told == [("begin", "a", 5), 3, 1, 1, ("end", "a"), ("begin", "b", 2), 1, ("end", "b")]


def test_a_connection_that_breaks_ends_the_step():
    def broken():
        yield pb.TrainingRun(stage="Training, epochs", done=1, total=4)
        raise ConnectionError

    recorder = Recorder()
    with pytest.raises(ConnectionError):
        follow(broken(), recorder)
    assert recorder.told == [("begin", "Training, epochs", 4), 1]


def test_a_refused_page_token_names_the_place_of_a_good_one(capsys, monkeypatch):
    def refuse(*_):
        details = "page_token: isn't a next_page_token of a response"
        raise TrainerCallError("a:1", grpc.StatusCode.INVALID_ARGUMENT, details)

    monkeypatch.setattr(TrainerClient, "call", refuse)
    assert main(["runs", "--page-token", "zz"]) == 2
    said = "error: a:1: --page-token is no token of this service: give the token after 'more: --page-"
    assert capsys.readouterr().err.startswith(said)
