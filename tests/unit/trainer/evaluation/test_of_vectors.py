"""Quality of vectors, which is LightFM's own evaluation where LightFM made them."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from lightfm.evaluation import auc_score, precision_at_k

from tests import datasets
from tests.measured_vectors import evaluate_vectors
from tests.unit.trainer.index import cases
from trainer.evaluation import held_out_test
from trainer.evaluation.held_out_test import with_positives
from trainer.evaluation.of_vectors import precision_at_10
from trainer.fitting.embeddings import Embeddings, extract_embeddings
from trainer.fitting.lightfm_model import train
from trainer.index import exact


def matrix_of(rows, items):
    ones = np.ones(len(rows.values), dtype=np.float32)
    return sp.csr_matrix((ones, rows.values, rows.offsets), shape=(len(rows), items))


@pytest.fixture(scope="module")
def trained():
    """A model on more items than users get, and its vectors."""
    random = np.random.default_rng(5)
    items = (random.choice(60, 12, replace=False) for _ in range(30))
    pairs = [(f"u{user}", f"i{item}", 1.0) for user, own in enumerate(items) for item in own]
    dataset = datasets.dataset(pairs, split="random")
    model = train(dataset, replace(datasets.QUICK, epochs=5), on_epoch=lambda: None)
    return model, dataset, extract_embeddings(model, dataset)


def by_lightfm(model, seen, held_out):
    """What LightFM's evaluation says, as means over users with positives."""
    metrics = {}
    for suffix, excluded in (("", None), ("_unseen", seen)):
        precision = precision_at_k(model, held_out, train_interactions=excluded, k=10)
        with np.errstate(invalid="ignore"):
            area = auc_score(model, held_out, train_interactions=excluded)
        metrics |= {
            f"test_precision_at_10{suffix}": precision.mean(),
            f"test_auc{suffix}": np.nanmean(area),
        }
    return metrics


def among(found, expected):
    """The metrics of `expected` among the found ones, which are equal."""
    own = {name: found[name] for name in expected}
    assert own == pytest.approx(expected, abs=1e-5)
    return own


def test_the_metrics_are_lightfms(monkeypatch, trained):
    monkeypatch.setattr(exact, "_CHUNK_SCORES", 200)
    model, dataset, embeddings = trained
    seen, held_out = dataset.seen(), dataset.held_out()
    found = evaluate_vectors(embeddings, seen=seen, held_out=held_out)
    assert found["evaluated_users"] == (dataset.test.getnnz(axis=1) > 0).sum()
    four = among(found, by_lightfm(model, dataset.train, dataset.test))
    # The four tell different things.
    assert len({round(value, 4) for value in four.values()}) == 4


def test_users_with_nothing_and_with_everything_are_as_lightfm_counts_them(trained):
    model, dataset, embeddings = trained
    items = len(dataset.items)
    everything = np.arange(items)
    seen = {0: everything[5:], 1: [], 2: everything[:3], 3: everything[:40], 4: everything}
    held_out = {0: [0, 1, 2], 1: everything[:15], 2: everything[3:], 3: [50], 5: [7, 8]}
    seen, held_out = (
        cases.rows([of.get(user, []) for user in range(len(dataset.users))]) for of in (seen, held_out)
    )
    found = evaluate_vectors(embeddings, seen=seen, held_out=held_out)
    assert found["evaluated_users"] == 5
    among(found, by_lightfm(model, matrix_of(seen, items), matrix_of(held_out, items)))


def test_where_every_item_is_a_positive_there_is_no_auc_and_without_any_no_metric():
    embeddings = Embeddings(cases.vectors(4, 3), cases.vectors(2, 3, seed=2))
    seen = cases.rows([[0], []])
    found = evaluate_vectors(embeddings, seen=seen, held_out=cases.nothing(2))
    assert found == {"evaluated_users": 0.0}
    found = evaluate_vectors(embeddings, seen=seen, held_out=cases.rows([[1, 2, 3], []]))
    assert found["test_auc"] >= 0
    assert "test_auc_unseen" not in found
    among(found, {f"test_{name}_at_10_unseen": 1.0 for name in ("recall", "ndcg", "map", "mrr")})
    among(
        found, {"test_precision_at_10": 0.3, "test_precision_at_10_unseen": 0.3, "evaluated_users": 1}
    )
    # There is no list of twenty.
    assert not [name for name in found if "_at_20" in name or "_at_5_" in name]


def test_of_many_users_some_are_drawn_the_same_ones_for_a_seed(monkeypatch, trained):
    held_out = cases.rows([[0]] * 50 + [[]] * 50 + [[1, 2]] * 50)
    everyone = [*range(50), *range(100, 150)]
    assert with_positives(held_out).tolist() == everyone
    monkeypatch.setattr(held_out_test, "MAX_USERS", 30)
    first, again, other = (with_positives(held_out, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again == sorted({*first} & {*everyone}) != other
    assert len(first) == len(other) == 30
    # Metrics are of the users that are drawn.
    _, dataset, embeddings = trained
    seen, held_out = dataset.seen(), dataset.held_out()
    monkeypatch.setattr(held_out_test, "MAX_USERS", 7)
    chosen = with_positives(held_out, seed=3)
    found = evaluate_vectors(embeddings, seen=seen, held_out=held_out, seed=3)
    assert found["evaluated_users"] == 7
    only = cases.rows([held_out[user] if user in chosen else [] for user in range(len(held_out))])
    assert evaluate_vectors(embeddings, seen=seen, held_out=only) == found


def test_precision_of_answers_is_the_share_of_ten_that_was_held_out():
    held_out = cases.rows([[1, 2, 30], [4], [5]])
    answers = [(0, np.arange(10)), (1, np.array([4])), (2, np.array([6, 7]))]
    assert precision_at_10(iter(answers), held_out) == pytest.approx(0.1)
    # What comes after ten isn't shown.
    assert precision_at_10(iter([(0, np.arange(40)[::-1])]), held_out) == pytest.approx(0.1)
    assert precision_at_10(iter([]), held_out) == 0.0
