"""Backups as the documents have them: copies made while all runs are the service again."""

import shutil
import sqlite3
from contextlib import closing

from recsys.retriever.v1 import retriever_service_pb2 as retriever_pb
from recsys.trainer.v1 import trainer_service_pb2 as pb

from tests import datasets
from tests.service import PATIENCE, Service
from tests.trainer_service import TrainerService, events, spec

EVENTS = events(datasets.rows(), prefix="first-")


def train(trainer, *, seed):
    hyperparameters = pb.Hyperparameters(components=4, epochs=2, seed=seed)
    gates = pb.Gates(allow_unevaluated=True)
    wanted = spec(hyperparameters=hyperparameters, label="current", gates=gates)
    return trainer.end(trainer.submit(wanted)).version


def back_up(trainer, to):
    # The labels first: one that is copied later may name a version that the copy lacks.
    for name in ("labels", "history", "versions"):
        shutil.copytree(trainer.volume / name, to / "volume" / name)
    state = to / "state"
    state.mkdir()
    source, copy = (sqlite3.connect(own / "runs.sqlite") for own in (trainer.state, state))
    with closing(source), closing(copy):
        source.backup(copy)
    shutil.copytree(trainer.state / "events", state / "events")


def test_what_was_backed_up_is_all_that_is_needed(tmp_path):
    copies = tmp_path / "copies"
    with TrainerService(tmp_path / "volume", tmp_path / "state") as trainer:
        assert trainer.append(EVENTS).accepted == len(EVENTS)
        versions = [train(trainer, seed=seed) for seed in (1, 2)]
        back_up(trainer, copies)
        runs = trainer.runs()
    shutil.rmtree(tmp_path / "volume")
    shutil.rmtree(tmp_path / "state")
    with (
        TrainerService(copies / "volume", copies / "state") as again,
        Service(copies / "volume", tmp_path / "log", workers=1, poll_seconds=0.05) as retriever,
    ):
        assert again.runs() == runs
        retriever.wait_until_all_serve(versions[1])
        request = retriever_pb.RecommendRequest(user_id="u3")
        assert retriever.stub().Recommend(request, timeout=PATIENCE).version == versions[1]
        assert again.call("Rollback", pb.RollbackRequest()).version == versions[0]
        retriever.wait_until_all_serve(versions[0])
        assert again.append(EVENTS).duplicates == len(EVENTS)
