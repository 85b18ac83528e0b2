"""The defaults on MovieLens 100K: as good as LightFM, and in its order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from annoy import AnnoyIndex
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k

from publication import layout
from publication.labels import read_label
from publication.reader import open_publication, verify
from publication.vector_space import augment_items, user_queries
from tests import movielens
from trainer.index import make_backend

SEED = 42


@pytest.fixture(scope="module")
def publication(movielens_run):
    return open_publication(movielens_run.volume, read_label(movielens_run.volume, "current"))


@pytest.fixture(scope="module")
def predictions(movielens_run):
    """LightFM's own, (users, items)."""
    dataset, model = movielens_run.result.dataset, movielens_run.result.model
    users, items = len(dataset.users), len(dataset.items)
    predicted = model.predict(
        np.repeat(np.arange(users), items),
        np.tile(np.arange(items), users),
        user_features=dataset.user_features,
        item_features=dataset.item_features,
    )
    return predicted.reshape(users, items)


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
        f"{9_430 - len(known)} of 9430 test interactions aren't evaluated: 0 are in "
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


def test_every_exact_score_is_lightfms(publication, predictions):
    scores = user_queries(publication.user_vectors) @ publication.item_vectors.T
    scores += publication.user_vectors[:, -1:]
    assert np.abs(scores - predictions).max() < 1e-4


def test_exact_search_gives_every_user_lightfms_own_top_ten(publication, predictions, tmp_path):
    built = make_backend("exact", trees=10).build(
        publication.item_vectors,
        "inner_product",
        lambda suffix: tmp_path / suffix,
        seed=SEED,
        threads=1,
        on_items=lambda _: None,
    )
    same = 0
    for user, query in enumerate(user_queries(publication.user_vectors)):
        found = built.index.search(query, 10)
        own = np.argsort(-predictions[user], kind="stable")[:10]
        same += found.tolist() == own.tolist()
        # Where the two differ, the scores are as near as float32 can tell.
        np.testing.assert_allclose(predictions[user][found], predictions[user][own], atol=1e-5)
    assert same >= 0.98 * len(predictions)


def recall(index, vectors, queries, *, candidates, own=None):
    """Share of the true ten that are among the candidates, from the definition."""
    scores = queries @ vectors.T
    if own is not None:
        # An item is no neighbour of itself.
        scores[np.arange(len(own)), own] = -np.inf
    found = 0
    for position, query in enumerate(queries):
        true = {*np.argsort(-scores[position])[:10].tolist()}
        asked = np.concatenate([query, np.zeros(index.f - len(query), dtype=np.float32)])
        rows = np.array(index.get_nns_by_vector(asked, candidates))
        found += len(true & {*rows[np.argsort(-scores[position, rows])[:10]].tolist()})
    return found / (10 * len(queries))


@pytest.mark.parametrize("name", [layout.SIMILAR, layout.RECOMMEND])
def test_annoys_recall_is_stored_as_brute_force_finds_it(publication, name):
    facts = publication.manifest.indexes[name]
    index = AnnoyIndex(facts.dimensions, facts.metric)
    index.load(str(publication.directory / facts.file))
    if name == layout.SIMILAR:
        embeddings = publication.item_vectors[:, :-1]
        vectors = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        # Of more than a thousand items, so many are drawn.
        own = np.sort(np.random.default_rng(SEED).choice(len(vectors), 1000, replace=False))
        queries, extra = vectors[own], 1
    else:
        vectors, own, extra = publication.item_vectors, None, 0
        queries = user_queries(publication.user_vectors)
        assert index.f == augment_items(vectors).shape[1]
    # search_k is trees times neighbours by default: more candidates are a wider search too.
    served = recall(index, vectors, queries, candidates=facts.query["candidates"], own=own)
    bare = recall(index, vectors, queries, candidates=10 + extra, own=own)
    assert facts.recall_at_10 == pytest.approx(served, abs=1e-3)
    assert facts.bare_recall_at_10 == pytest.approx(bare, abs=1e-3)
    assert bare < served
    assert served > 0.95
