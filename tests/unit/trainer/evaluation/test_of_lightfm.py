from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lightfm.evaluation import auc_score, precision_at_k

from tests import datasets
from trainer.evaluation import of_lightfm
from trainer.evaluation.of_lightfm import evaluate
from trainer.fitting.lightfm_model import train


def trained(rows=None, **options):
    dataset = datasets.dataset(rows, **options)
    return train(dataset, replace(datasets.QUICK, epochs=5), on_epoch=lambda: None), dataset


def measured(model, dataset, *, seed=1):
    return evaluate(model, dataset, threads=1, seed=seed)


def by_hand(model, dataset, positives, excluded):
    """Mean precision@10 and AUC from their definitions."""
    count = len(dataset.items)
    precisions, areas = [], []
    for user in range(len(dataset.users)):
        wanted = positives[user].toarray().ravel() > 0
        if not wanted.any():
            continue
        ranked = np.ones(count, dtype=bool)
        if excluded is not None:
            ranked[excluded[user].indices] = False
        scores = model.predict(
            user,
            np.arange(count),
            item_features=dataset.item_features,
            user_features=dataset.user_features,
        )
        best = sorted(np.flatnonzero(ranked), key=lambda item: -scores[item])[:10]
        precisions.append(wanted[best].sum() / 10)
        against = scores[ranked & ~wanted]
        areas.append(np.mean([(score > against).mean() for score in scores[wanted]]))
    return np.mean(precisions), np.mean(areas)


@pytest.mark.parametrize("items", [None, datasets.genres()])
def test_the_metrics_are_what_their_definitions_give(items):
    model, dataset = trained(split="random", items=items)
    metrics = measured(model, dataset)
    for part, positives, excluded in (
        ("train_{}", dataset.train, None),
        ("test_{}", dataset.test, None),
        ("test_{}_unseen", dataset.test, dataset.train),
    ):
        precision, area = by_hand(model, dataset, positives, excluded)
        assert metrics[part.format("precision_at_10")] == pytest.approx(precision, abs=1e-6)
        assert metrics[part.format("auc")] == pytest.approx(area, abs=1e-6)
    assert metrics["evaluated_users"] == (dataset.test.getnnz(axis=1) > 0).sum()
    assert metrics.keys() == {
        "evaluated_users",
        *(f"{part}_{metric}" for part in ("train", "test") for metric in ("precision_at_10", "auc")),
        "test_precision_at_10_unseen",
        "test_auc_unseen",
    }


def test_the_metrics_are_what_lightfm_gives():
    model, dataset = trained(split="first-10")
    metrics = measured(model, dataset)
    features = {"item_features": dataset.item_features, "user_features": dataset.user_features}
    for name, function in (("precision_at_10", precision_at_k), ("auc", auc_score)):
        assert metrics[f"train_{name}"] == function(model, dataset.train, **features).mean()
        assert metrics[f"test_{name}"] == function(model, dataset.test, **features).mean()
        unseen = function(model, dataset.test, train_interactions=dataset.train, **features)
        assert metrics[f"test_{name}_unseen"] == unseen.mean()


def test_without_a_test_set_there_are_no_metrics_of_it():
    metrics = measured(*trained())
    assert metrics.keys() == {"train_precision_at_10", "train_auc", "evaluated_users"}
    assert metrics["evaluated_users"] == 0


def test_what_is_no_positive_is_not_looked_for():
    rows = [(user, item, weight if weight > 2 else -weight) for user, item, weight in datasets.rows()]
    model, dataset = trained(rows)
    positives = dataset.train.multiply(dataset.train > 0).tocsr()
    positives.eliminate_zeros()
    assert 0 < positives.nnz < dataset.train.nnz
    precision, area = by_hand(model, dataset, positives, None)
    metrics = measured(model, dataset)
    assert metrics["train_precision_at_10"] == pytest.approx(precision, abs=1e-6)
    assert metrics["train_auc"] == pytest.approx(area, abs=1e-6)


def test_of_many_users_some_are_drawn_by_the_seed(monkeypatch):
    model, dataset = trained(split="random")
    monkeypatch.setattr(of_lightfm, "MAX_USERS", 7)
    metrics = measured(model, dataset)
    assert metrics["evaluated_users"] == 7
    assert metrics == measured(model, dataset)
    assert len({measured(model, dataset, seed=seed)["train_auc"] for seed in range(5)}) > 1
    monkeypatch.setattr(of_lightfm, "MAX_USERS", datasets.USERS)
    assert measured(model, dataset, seed=1) == measured(model, dataset, seed=2)


@pytest.mark.parametrize("split", ["none", "first-10", "random"])
def test_a_single_user_is_evaluated(split):
    rows = [("u", f"i{item}", float(item % 3)) for item in range(40)]
    model, dataset = trained(rows, split=split)
    metrics = measured(model, dataset)
    for part, positives, excluded in (
        ("train_{}", dataset.train, None),
        ("test_{}", dataset.test, None),
        ("test_{}_unseen", dataset.test, dataset.train),
    ):
        if positives.nnz:
            precision, area = by_hand(model, dataset, positives, excluded)
            assert metrics[part.format("precision_at_10")] == pytest.approx(precision, abs=1e-6)
            if not np.isnan(area):
                assert metrics[part.format("auc")] == pytest.approx(area, abs=1e-6)


def test_who_likes_everything_has_a_precision_but_no_auc():
    """The AUC compares with what a user doesn't like; without it LightFM divides by zero."""
    everything = [("u", f"i{item}", 1.0) for item in range(5)]
    metrics = measured(*trained(everything))
    assert metrics == {"train_precision_at_10": 0.5, "evaluated_users": 0}
    model, dataset = trained([*everything, ("v", "i0", 1.0), ("v", "i1", 1.0)])
    alone = auc_score(
        model, dataset.train, item_features=dataset.item_features, user_features=dataset.user_features
    )
    assert np.isnan(alone).tolist() == [dataset.users.external_id(row) == "u" for row in range(2)]
    assert measured(model, dataset)["train_auc"] == np.nanmean(alone)


def test_fewer_than_ten_items_are_evaluated():
    metrics = measured(*trained([("u", "a", 1.0), ("v", "b", 1.0), ("v", "c", 1.0)]))
    assert metrics["train_precision_at_10"] == pytest.approx(0.15)
