"""Both services as processes on one volume: from what users did to what they are recommended."""

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as retriever_pb
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.reader import open_publication
from tests import datasets
from tests.service import PATIENCE, Service
from tests.trainer_service import TrainerService, events, spec


@pytest.fixture
def trainer(tmp_path):
    with TrainerService(tmp_path / "volume", tmp_path / "state") as running:
        yield running


@pytest.fixture
def retriever(trainer, tmp_path):
    with Service(trainer.volume, tmp_path / "log", workers=2, poll_seconds=0.05) as running:
        yield running


def recommended(retriever, user_id, *, limit=20):
    request = retriever_pb.RecommendRequest(user_id=user_id, limit=limit)
    response = retriever.stub().Recommend(request, timeout=PATIENCE)
    return [item.item_id for item in response.items]


def train(trainer, **fields):
    """A version of all events so far, followed to its end."""
    gates = fields.pop("gates", pb.Gates())
    gates.allow_unevaluated = True
    wanted = spec(pb.DataSpec(event_log=True, split="none"), gates=gates, **fields)
    last = trainer.end(trainer.submit(wanted))
    assert (last.state, last.error) == (pb.TRAINING_RUN_STATE_SUCCEEDED, "")
    return last


def test_what_users_did_becomes_what_they_are_recommended(trainer, retriever):
    rows = datasets.rows()
    assert trainer.append(events(rows, prefix="day 1 "), messages=3).accepted == len(rows)
    first = train(trainer)
    assert first.label_moved
    retriever.wait_until_all_serve(first.version)
    seen = {item for user, item, _ in rows if user == "u3"}
    found = recommended(retriever, "u3")
    # All that is left of so few items, and nothing that was seen.
    assert {*found} == {item for _, item, _ in rows} - seen
    # The user sees one of these, and somebody new comes.
    new = [("u3", found[0], 5.0), *(("newcomer", f"i{item}", 5.0) for item in range(5))]
    assert trainer.append(events(new, prefix="day 2 ")).accepted == len(new)
    second = train(trainer, warm_start=True)
    assert second.version != first.version
    # Nobody tells the retriever.
    retriever.wait_until_all_serve(second.version)
    assert {*recommended(retriever, "u3")} == {*found[1:]}
    assert "newcomer" in open_publication(trainer.volume, second.version).users
    assert not {*recommended(retriever, "newcomer")} & {f"i{item}" for item in range(5)}

    # A version that isn't good enough is there, and isn't served.
    refused = train(trainer, gates=pb.Gates(min_coverage=1.0, min_auc=0.5))
    assert not refused.label_moved
    answer = trainer.call("Rollback", pb.RollbackRequest())
    assert (answer.previous_version, answer.version) == (second.version, first.version)
    retriever.wait_until_all_serve(first.version)
    assert recommended(retriever, "u3") == found
    # Somebody decides that it is good enough after all.
    trainer.call("SetLabel", pb.SetLabelRequest(version=refused.version))
    retriever.wait_until_all_serve(refused.version)
    assert list_labels(trainer.volume) == {"current": refused.version}

    # It answers while its trainer is killed, and has the next one's version.
    found = recommended(retriever, "u3")
    run_id = trainer.submit(spec(hyperparameters=pb.Hyperparameters(epochs=10_000)))
    trainer.wait_for(run_id, lambda run: run.done)
    trainer.kill()
    assert recommended(retriever, "u3") == found
    with TrainerService(trainer.volume, trainer.state) as again:
        assert again.get(run_id).state == pb.TRAINING_RUN_STATE_FAILED
        third = train(again, hyperparameters=pb.Hyperparameters(components=8, epochs=2))
        retriever.wait_until_all_serve(third.version)
