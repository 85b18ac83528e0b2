"""A model is compared with simple ones, fitted to the same interactions, for the same users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.evaluation_facts import SimpleModelFacts
from tests import datasets
from trainer.evaluation import simple_models
from trainer.evaluation.evaluation import evaluate
from trainer.evaluation.of_dataset import held_out_test
from trainer.fitting.scores import SameScores
from trainer.models.protocol import Fitting

NDCG = "test_ndcg_at_10_unseen"


@pytest.fixture(scope="module")
def dataset():
    return datasets.dataset(split="random")


@pytest.fixture(scope="module")
def test(dataset):
    return held_out_test(dataset)


def compared(dataset, test, model="lightfm", scores=None):
    if scores is None:
        scores = SameScores(np.arange(len(dataset.items), dtype=np.float32))
    found = evaluate(scores, test, seed=1)
    made = simple_models.compare(found, test, dataset, model=model, fitting=Fitting(seed=1))
    return found, {own.name: own for own in made}


def test_popularity_is_as_its_own_evaluation_says(dataset, test):
    popular = SameScores(test.popularity.astype(np.float32))
    found, made = compared(dataset, test)
    assert made.keys() == {"popular", "item-knn", "ease"}
    own = made["popular"]
    assert own.ndcg_at_10 == pytest.approx(evaluate(popular, test, seed=1).metrics()[NDCG])
    assert own.model_ndcg_at_10 == pytest.approx(found.metrics()[NDCG])
    assert own.users == len(found.users)
    # A model differs from itself by nothing.
    _, again = compared(dataset, test, scores=popular)
    assert again["popular"].error == 0
    assert again["popular"].ndcg_at_10 == again["popular"].model_ndcg_at_10


def test_a_model_is_not_compared_with_its_own_family(dataset, test):
    _, made = compared(dataset, test, model="ease")
    assert made.keys() == {"popular", "item-knn"}
    # Without interactions only popularity is known.
    _, made = compared(None, test, scores=SameScores(np.zeros(len(dataset.items), dtype=np.float32)))
    assert made.keys() == {"popular"}


def test_of_many_users_some_are_compared_and_all_items_or_the_most_popular(monkeypatch, dataset, test):
    monkeypatch.setattr(simple_models, "_MAX_USERS", 9)
    monkeypatch.setattr(simple_models, "_MOST_SECONDS", -1.0)
    monkeypatch.setattr(simple_models, "_MOST_ITEMS", 5)
    _, made = compared(dataset, test)
    assert {name: (own.users, own.items) for name, own in made.items()} == {
        "popular": (9, len(dataset.items)),
        "item-knn": (9, 5),
    }
    assert 0 < made["item-knn"].ndcg_at_10 <= 1


def test_a_warning_says_which_simple_model_wins_by_more_than_chance():
    won = SimpleModelFacts(
        name="ease", users=500, ndcg_at_10=0.3, model_ndcg_at_10=0.2, error=0.01, items=9
    )
    [warning] = simple_models.warnings_of([won])
    assert warning == (
        "ease ranks better than this model: NDCG@10 0.3000 against 0.2000 for the same 500 users; try "
        "--model auto or --model ease"
    )
    for other in ({"error": 0.06}, {"ndcg_at_10": 0.2}, {"users": 19}):
        assert [*simple_models.warnings_of([replace(won, **other)])] == []
