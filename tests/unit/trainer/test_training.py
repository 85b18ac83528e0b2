from dataclasses import replace

import numpy as np
import pytest

from tests import datasets
from trainer import training
from trainer.fitting.lightfm_model import train
from trainer.training import evaluate


def trained(rows=None, **options):
    dataset = datasets.dataset(rows, **options)
    return train(dataset, replace(datasets.QUICK, epochs=5), on_epoch=lambda: None), dataset


def measured(model, dataset, *, seed=1):
    return evaluate(model, dataset, threads=1, seed=seed)


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
    return pytest.approx(expected, abs=1e-6)


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
    assert measured(model, dataset) == by_hand(model, dataset)


def test_of_many_users_some_are_drawn_by_the_seed(monkeypatch):
    model, dataset = trained(split="random")
    monkeypatch.setattr(training, "MAX_USERS", 7)
    metrics = measured(model, dataset)
    assert metrics["evaluated_users"] == 7
    assert metrics == measured(model, dataset)
    assert len({measured(model, dataset, seed=seed)["train_auc"] for seed in range(5)}) > 1
    monkeypatch.setattr(training, "MAX_USERS", datasets.USERS)
    assert measured(model, dataset, seed=1) == measured(model, dataset, seed=2)
