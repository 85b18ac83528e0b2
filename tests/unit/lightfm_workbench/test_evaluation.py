import pytest

import lightfm_workbench as wb
from tests.unit.lightfm_workbench.conftest import LIGHTFM, columns
from trainer.errors import InputError, TrainerError


def unseen_pairs(model):
    """All pairs that the model wasn't trained on."""
    found = model.recommend(model.user_ids, limit=1000)
    return [*zip(found["user_id"], found["item_id"], strict=True)]


def as_frame(pairs):
    users, items = zip(*pairs, strict=True)
    return {"user_id": users, "item_id": items}


def test_the_held_out_interactions_give_the_metrics_of_the_training(model, version):
    for own in (model, version):
        found = wb.evaluate(own, seed=1)
        assert found.metrics.items() <= own.metrics.items()
        assert found.facts.test == model.evaluation.test
        assert found.warnings == []
        [row] = [row for row in found.frame().rows() if row["metric"] == "test_ndcg_at_10_unseen"]
        assert row["value"] == model.metrics["test_ndcg_at_10_unseen"]
        assert row["standard_error"] == model.evaluation.errors["test_ndcg_at_10_unseen"]


def test_a_model_that_knows_the_answer_is_perfect(model):
    first = model.recommend(model.user_ids, limit=1)
    found = wb.evaluate(model, as_frame(zip(first["user_id"], first["item_id"], strict=True)))
    assert found.metrics["test_hit_rate_at_1_unseen"] == 1
    assert found.metrics["test_auc_unseen"] == 1
    assert found.metrics["evaluated_users"] == 24


def test_pairs_that_do_not_count_are_counted(model):
    unseen = unseen_pairs(model)
    [seen, *_] = [pair for pair in zip(*columns().values(), strict=False) if pair[:2] not in {*unseen}]
    test = [unseen[0], unseen[0], seen[:2], ("nobody", "i1"), ("u1", "nothing")]
    found = wb.evaluate(model, as_frame(test))
    assert found.facts.interactions == 1
    assert found.warnings == [
        "2 of 4 test interactions are of users or items that the model lacks",
        "1 of 4 test interactions are pairs that the model was trained on",
    ]
    weighed = {**as_frame(unseen[:2]), "weight": [0, 1]}
    assert wb.evaluate(model, weighed).facts.interactions == 1


def test_a_test_of_nothing_is_an_error(model):
    with pytest.raises(TrainerError, match="nothing is left to evaluate on: 1 of 1 test interactions"):
        wb.evaluate(model, as_frame([("nobody", "i1")]))
    with pytest.raises(InputError, match="test, row 1: user_id is empty"):
        wb.evaluate(model, as_frame([("", "i1")]))
    untested = wb.fit(columns(), model="lightfm", split="none", **LIGHTFM)
    with pytest.raises(TrainerError, match="held nothing out: give interactions as `test`"):
        wb.evaluate(untested)
