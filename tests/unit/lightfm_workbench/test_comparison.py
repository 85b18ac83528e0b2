import math

import numpy as np
import pytest

import lightfm_workbench as wb
from tests import datasets
from tests.unit.lightfm_workbench.conftest import LIGHTFM, columns
from tests.unit.lightfm_workbench.test_evaluation import as_frame, unseen_pairs
from trainer.errors import TrainerError

NDCG = "test_ndcg_at_10_unseen"


@pytest.fixture(scope="module")
def other(data):
    return wb.fit(data, model="lightfm", split_share=0.25, components=2, epochs=9, seed=1)


def test_models_of_the_same_split_are_compared(model, other, version):
    found = wb.compare(model, other)
    own = found[NDCG]
    assert own.before == pytest.approx(model.metrics[NDCG])
    assert own.after == pytest.approx(other.metrics[NDCG])
    assert own.difference == pytest.approx(own.after - own.before)
    assert own.low < own.difference < own.high
    assert found.users == own.users == model.evaluation.users
    # A version has the same vectors as the model that it was made from.
    assert wb.compare(version, other)[NDCG] == own


def test_the_interval_is_that_of_paired_differences(model, other):
    pairs = unseen_pairs(model)[::3]
    found = wb.compare(model, other, as_frame(pairs))
    differences = []
    for user in sorted({user for user, _ in pairs}):
        own = as_frame([pair for pair in pairs if pair[0] == user])
        try:
            measured = [wb.evaluate(one, own).metrics["test_auc_unseen"] for one in (model, other)]
        except KeyError:
            continue
        differences.append(measured[1] - measured[0])
    own = found["test_auc_unseen"]
    assert own.users == len(differences)
    assert own.difference == pytest.approx(np.mean(differences))
    error = np.std(differences, ddof=1) / math.sqrt(len(differences))
    # Student's t for 23 degrees of freedom.
    assert (own.high - own.low) / 2 == pytest.approx(2.0687 * error, rel=0.01)
    assert own.is_certain == (abs(own.difference) > (own.high - own.low) / 2)


def test_a_model_does_not_differ_from_itself(model):
    found = wb.compare(model, model)
    assert {(own.difference, own.low, own.high) for own in found.differences} == {(0, 0, 0)}
    assert not any(found.frame(all=True)["is_certain"])


def test_models_of_other_splits_need_a_common_test(model, data):
    other = wb.fit(data, model="lightfm", split_share=0.25, **{**LIGHTFM, "seed": 9})
    with pytest.raises(TrainerError, match=r"tested on different interactions .*as `test`"):
        wb.compare(model, other)
    both = {*unseen_pairs(model)} & {*unseen_pairs(other)}
    found = wb.compare(model, other, as_frame(sorted(both)))
    assert found.warnings == []
    assert found.users == len({user for user, _ in both})


def test_only_pairs_count_that_both_can_find(model):
    fewer = [row for row in datasets.rows() if row[0] != "u1" and row[1] != "i2"]
    other = wb.fit(columns(fewer), model="lightfm", split="none", **LIGHTFM)
    wanted = {*unseen_pairs(model)}
    common = wanted & {*unseen_pairs(other)}
    lost = [pair for pair in wanted if "u1" in pair or "i2" in pair]
    found = wb.compare(model, other, as_frame(sorted(wanted)))
    assert found.users == len({user for user, _ in common})

    def told(count):
        return f"{count} of {len(wanted)} test interactions"

    assert found.warnings == [
        f"{told(len(lost))} are of users or items that not both models know",
        f"{told(len(wanted - common) - len(lost))} are pairs that a model was trained on",
    ]
    with pytest.raises(TrainerError, match="nothing is left to compare on: 1 of 1 test interactions"):
        wb.compare(model, other, as_frame([("u1", "i1")]))


def test_a_comparison_is_shown_as_a_table(model, other):
    found = wb.compare(model, other)
    assert repr(found).splitlines()[0] == f"{found.users} users"
    assert set(found.frame()["metric"]) < set(found.frame(all=True)["metric"])
    assert all(name.endswith("_at_10_unseen") for name in found.frame()["metric"])
    with pytest.raises(KeyError, match="'ndcg' isn't a metric; the metrics are test_precision_at_10"):
        found["ndcg"]
