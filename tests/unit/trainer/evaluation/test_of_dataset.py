from dataclasses import replace

import numpy as np
import pytest

from tests import datasets
from trainer.errors import OptionError
from trainer.evaluation import evaluation, held_out_test
from trainer.evaluation.of_dataset import evaluate_dataset
from trainer.evaluation.of_vectors import scores_of
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import train
from trainer.models.protocol import Fitting


def trained(rows=None, **options):
    dataset = datasets.dataset(rows, **options)
    return train(dataset, replace(datasets.QUICK, epochs=5), on_epoch=lambda: None), dataset


def evaluated(model, dataset, *, seed=1):
    scores = scores_of(extract_embeddings(model, dataset))
    return evaluate_dataset(scores, dataset, model="lightfm", fitting=Fitting(seed=seed))


def measured(model, dataset, *, seed=1):
    return evaluated(model, dataset, seed=seed).metrics


def by_hand(model, dataset):
    """Mean precision@10 and AUC from their definitions."""
    count = len(dataset.items)
    features = {"item_features": dataset.item_features, "user_features": dataset.user_features}
    expected = {"evaluated_users": (dataset.test > 0).getnnz(axis=1).astype(bool).sum()}
    for part, positives, excluded in (
        ("train_{}", dataset.train, None),
        ("test_{}", dataset.test, None),
        ("test_{}_unseen", dataset.test, dataset.train),
    ):
        precisions, areas = [], []
        for user in range(len(dataset.users)):
            wanted = positives[user].toarray().ravel() > 0
            ranked = np.ones(count, dtype=bool)
            if excluded is not None:
                ranked[excluded[user].indices] = False
            if not wanted.any():
                continue
            scores = model.predict(user, np.arange(count), **features)
            best = sorted(np.flatnonzero(ranked), key=lambda item: -scores[item])[:10]
            precisions.append(wanted[best].sum() / 10)
            against = scores[ranked & ~wanted]
            if len(against):
                areas.append(np.mean([(score > against).mean() for score in scores[wanted]]))
        for name, values in (("precision_at_10", precisions), ("auc", areas)):
            if values:
                expected[part.format(name)] = np.mean(values)
    return expected


EVERYTHING = [("u", f"i{item}", 1.0) for item in range(5)]
PARTLY = [(user, item, weight if weight > 2 else -weight) for user, item, weight in datasets.rows()]


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (None, {"split": "random"}),
        (None, {"split": "random", "items": datasets.genres()}),
        # Without a test set there are no metrics of it.
        (None, {}),
        # What is no positive isn't looked for.
        (PARTLY, {}),
        # A single user.
        *(
            ([("u", f"i{item}", float(item % 3)) for item in range(40)], {"split": split})
            for split in ("none", "first-10", "random")
        ),
        # Who likes everything has a precision but no AUC, which compares with what a user doesn't like.
        (EVERYTHING, {}),
        ([*EVERYTHING, ("v", "i0", 1.0), ("v", "i1", 1.0)], {}),
        # Fewer than ten items.
        ([("u", "a", 1.0), ("v", "b", 1.0), ("v", "c", 1.0)], {}),
    ],
)
def test_the_metrics_are_what_their_definitions_give(rows, options):
    model, dataset = trained(rows, **options)
    found, expected = measured(model, dataset), by_hand(model, dataset)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    # No metric of the test without a test, and none that isn't defined.
    assert [name for name in found if name.startswith("test")] == [] or expected["evaluated_users"]
    assert {"train_auc", "test_auc", "test_auc_unseen"} & {*found} <= {*expected}


def test_of_many_users_some_are_drawn_by_the_seed(monkeypatch):
    model, dataset = trained(split="random")
    everyone = evaluated(model, dataset).facts
    assert everyone.users == everyone.evaluated_users > 7
    assert everyone.interactions == len(dataset.held_out().values)
    monkeypatch.setattr(held_out_test, "MAX_USERS", 7)
    monkeypatch.setattr(evaluation, "MAX_TRAIN_USERS", 7)
    found = evaluated(model, dataset)
    assert found == evaluated(model, dataset)
    assert found.metrics["evaluated_users"] == found.facts.evaluated_users == 7
    assert (found.facts.users, found.facts.test) == (everyone.users, found.facts.test)
    assert 7 <= found.facts.interactions < everyone.interactions
    assert found.facts.test != everyone.test
    others = [evaluated(model, dataset, seed=seed) for seed in range(5)]
    assert len({own.metrics["train_auc"] for own in others}) > 1
    assert len({own.facts.test for own in others}) > 1
    for name in ("MAX_USERS", "MAX_TRAIN_USERS"):
        module = held_out_test if name == "MAX_USERS" else evaluation
        monkeypatch.setattr(module, name, datasets.USERS)
    assert evaluated(model, dataset, seed=1) == evaluated(model, dataset, seed=2)


def test_the_facts_tell_how_sure_the_metrics_are_and_where_they_come_from():
    model, dataset = trained(split="random", items=datasets.genres())
    found = evaluated(model, dataset)
    errors = found.facts.errors
    assert errors.keys() <= found.metrics.keys()
    assert {"test_ndcg_at_10_unseen", "test_auc_unseen", "test_novelty_at_10_unseen"} <= errors.keys()
    # A coverage is no mean over users.
    assert "test_coverage_at_10_unseen" not in errors
    assert all(error >= 0 for error in errors.values())
    by = [(own.by, own.value) for own in found.facts.segments]
    assert len({*by}) == len(by)
    assert {name for name, _ in by} >= {"user_activity", "item_popularity"}
    thirds = [own for own in found.facts.segments if own.by == "item_popularity"]
    assert sum(own.interactions for own in thirds) == found.facts.interactions
    users = [own for own in found.facts.segments if own.by == "user_activity"]
    weights = [own.users for own in users]
    assert sum(weights) == found.facts.evaluated_users
    for name in ("precision_at_10", "recall_at_10", "ndcg_at_10"):
        mean = np.average([own.metrics[name] for own in users], weights=weights)
        assert mean == pytest.approx(found.metrics[f"test_{name}_unseen"])


def test_a_test_is_the_same_for_every_model_and_another_for_other_interactions():
    model, dataset = trained(split="random")
    other = train(dataset, replace(datasets.QUICK, epochs=1, seed=9), on_epoch=lambda: None)
    test = evaluated(model, dataset).facts.test
    assert evaluated(other, dataset, seed=3).facts.test == test
    assert evaluated(*trained(split="random", items=datasets.genres())).facts.test == test
    assert evaluated(*trained(split="random", seed=2)).facts.test != test


def test_segments_by_an_attribute_that_is_missing_are_refused():
    model, dataset = trained(split="random", items=datasets.genres())
    with pytest.raises(OptionError, match=r"--segment-by.*colour.*an attribute of items"):
        evaluated(model, replace(dataset, segment_by=["colour"]))
