"""The defaults on MovieLens 100K: as good as LightFM, and in its order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k

from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from tests import movielens

SEED = 42


@pytest.fixture(scope="module")
def publication(movielens_run):
    return open_publication(movielens_run.volume, read_label(movielens_run.volume, "current"))


@pytest.fixture(scope="module")
def direct(movielens_run):
    """A model trained with nothing of this project but the matrix."""
    model = LightFM(
        no_components=64,
        loss="warp",
        learning_rate=0.05,
        item_alpha=0.001,
        random_state=np.random.RandomState(SEED),
    )
    return model.fit(movielens_run.result.dataset.train, epochs=20, num_threads=1)


def pairs(dataset, matrix):
    coo = matrix.tocoo()
    return {
        (dataset.users.external_id(user), dataset.items.external_id(item)): weight
        for user, item, weight in zip(coo.row, coo.col, coo.data.tolist(), strict=True)
    }


def test_the_split_is_the_first_ten_ratings_of_each_user(movielens_run):
    """GroupLens' `ua`, read again without the trainer: 90,570 and 9,430 ratings."""
    before = Counter()
    parts = {"train": {}, "test": {}}
    lines = (movielens.DATA_DIR / "movielens-100k" / "interactions.tsv").read_text().splitlines()
    for line in lines[1:]:
        user, item, rating, _ = line.split("\t")
        parts["test" if before[user] < 10 else "train"][user, item] = float(rating)
        before[user] += 1
    assert (len(parts["train"]), len(parts["test"])) == (90_570, 9_430)
    dataset = movielens_run.result.dataset
    assert pairs(dataset, dataset.train) == parts["train"]
    trained = {item for _, item in parts["train"]}
    known = {pair: rating for pair, rating in parts["test"].items() if pair[1] in trained}
    assert pairs(dataset, dataset.test) == known
    [warning] = [text for text in movielens_run.result.warnings if "test interactions" in text]
    assert warning.startswith(
        f"{9_430 - len(known)} of 9430 test interactions aren't evaluated: 2 repeat "
    )


def test_the_model_is_as_good_as_lightfm_is(movielens_run):
    metrics = movielens_run.result.manifest.metrics
    assert 0.08 <= metrics["test_precision_at_10"] <= 0.11
    assert metrics["test_precision_at_10_unseen"] >= 0.24
    assert metrics["test_auc"] >= 0.89
    assert metrics["evaluated_users"] == 943


def test_the_metrics_are_those_of_a_direct_run_of_lightfm(movielens_run, direct):
    metrics, dataset = movielens_run.result.manifest.metrics, movielens_run.result.dataset
    for name, function, options in (
        ("precision_at_10", precision_at_k, {"k": 10}),
        ("auc", auc_score, {}),
    ):
        assert metrics[f"train_{name}"] == function(direct, dataset.train, **options).mean()
        assert metrics[f"test_{name}"] == function(direct, dataset.test, **options).mean()
        unseen = function(direct, dataset.test, train_interactions=dataset.train, **options)
        assert metrics[f"test_{name}_unseen"] == unseen.mean()


def test_what_is_published_is_what_was_measured(movielens_run, publication):
    assert verify(movielens_run.volume, publication.manifest.version) == movielens_run.result.manifest
    assert (len(publication.users), publication.manifest.components) == (943, 64)
    star_wars = publication.items.row("50")
    start, end = publication.titles.offsets[star_wars : star_wars + 2]
    assert bytes(publication.titles.values[start:end]) == b"Star Wars (1977)"


def test_the_settings_are_about_the_least_that_find_enough(publication):
    """Less effort, as was tried, finds less than the target; all of it is in the manifest."""
    for facts in publication.manifest.indexes.values():
        assert facts.trials[0].backend == "exact"
        assert facts.trials[0].recall_at_10 == 1.0
        of_build = [trial for trial in facts.trials if trial.build == facts.build]
        less = [one for one in of_build if one.query["search_k"] < facts.query["search_k"]]
        assert facts.query in [trial.query for trial in of_build]
        for trial in less:
            assert (
                trial.recall_at_10 < facts.target_recall
                or trial.query_microseconds >= facts.query_microseconds
            )
