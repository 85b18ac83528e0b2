"""A model trained with the defaults and asked over the wire: what is served is what LightFM says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k
from numpy.typing import NDArray
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceStub

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from tests import datasets, movielens
from tests.movielens import MovieLensRun
from tests.service import PATIENCE, Service

# Training takes its time, and much of it on a busy machine.
pytestmark = pytest.mark.timeout(300)

USERS = 943
LIMIT = 10


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """MovieLens 100K, trained and published once."""
    if reason := movielens.missing():
        pytest.skip(reason)
    return movielens.train(tmp_path_factory.mktemp("movielens") / "volume")


@dataclass(frozen=True)
class Truth:
    """What LightFM says, asked as its documentation asks it.

    Attributes:
        scores: (users, items) `LightFM.predict` of every pair.
        seen: (users, items) whether a pair is in the training data.
        cosines: (items, items) of LightFM's item representations.
    """

    run: MovieLensRun
    scores: NDArray[np.float32]
    seen: NDArray[np.bool_]
    cosines: NDArray[np.float64]

    def unseen(self, row: int) -> NDArray[np.float32]:
        """LightFM's scores for a user, what was seen below all others."""
        return np.where(self.seen[row], -np.inf, self.scores[row])


@pytest.fixture(scope="module")
def truth(run):
    model, dataset = run.result.model, run.result.dataset
    users, items = len(dataset.users), len(dataset.items)
    features = {"user_features": dataset.user_features, "item_features": dataset.item_features}
    scores = np.stack([model.predict(row, np.arange(items), **features) for row in range(users)])
    _, embeddings = model.get_item_representations(dataset.item_features)
    unit = np.float64(embeddings) / np.linalg.norm(np.float64(embeddings), axis=1, keepdims=True)
    return Truth(run, scores, dataset.train.toarray() != 0, unit @ unit.T)


@dataclass(frozen=True)
class Answers:
    """Item rows and scores by row of the user, or of the item, that was asked for."""

    recommended: list[tuple[list[int], list[float]]]
    similar: list[tuple[list[int], list[float]]]


@pytest.fixture(scope="module")
def stub(truth, tmp_path_factory):
    """Asks a service with an index by Annoy, tuned as by default."""
    with Service(truth.run.volume, tmp_path_factory.mktemp("log") / "log", workers=2) as service:
        service.wait_until_all_serve(read_label(truth.run.volume, "current"))
        yield service.stub()


def ask_all(stub: RetrieverServiceStub, run: MovieLensRun, **how: Any) -> Answers:
    """Both questions for every user and every item."""
    users, items = run.result.dataset.users, run.result.dataset.items

    def taken_apart(response):
        rows = [items.row(item.item_id) for item in response.items]
        return rows, [item.score for item in response.items]

    recommended = [pb.RecommendRequest(user_id=users.external_id(row), **how) for row in range(USERS)]
    similar = [
        pb.SimilarItemsRequest(item_id=items.external_id(row), **how) for row in range(len(items))
    ]
    return Answers(
        [taken_apart(stub.Recommend(request, timeout=PATIENCE)) for request in recommended],
        [taken_apart(stub.SimilarItems(request, timeout=PATIENCE)) for request in similar],
    )


@pytest.fixture(scope="module")
def served(truth, stub):
    # So small a catalogue is scored whole, unless somebody says how hard to ask the index.
    return ask_all(stub, truth.run, search_effort=1)


def test_every_score_is_lightfms_best_first_and_nothing_seen(served, truth):
    assert (len(served.recommended), truth.seen.sum()) == (USERS, truth.run.result.dataset.train.nnz)
    for user, (rows, scores) in enumerate(served.recommended):
        np.testing.assert_allclose(scores, truth.scores[user, rows], rtol=0, atol=1e-4)
        assert len({*rows}) == LIMIT
        assert not truth.seen[user, rows].any()
        assert scores == sorted(scores, reverse=True)


def test_the_scores_of_similar_items_are_cosines(served, truth):
    assert len(served.similar) == len(truth.cosines) > 1600
    for item, (rows, scores) in enumerate(served.similar):
        assert item not in rows
        np.testing.assert_allclose(scores, truth.cosines[item, rows], rtol=0, atol=1e-4)
        assert len({*rows}) == LIMIT
        assert scores == sorted(scores, reverse=True)


def test_as_much_is_found_as_the_manifest_says(served, truth):
    recommended = [
        len({*rows} & {*np.argsort(-truth.unseen(user), kind="stable")[:LIMIT].tolist()}) / LIMIT
        for user, (rows, _) in enumerate(served.recommended)
    ]
    cosines = truth.cosines - 3 * np.eye(len(truth.cosines))
    similar = [
        len({*rows} & {*np.argsort(-cosines[item])[:LIMIT].tolist()}) / LIMIT
        for item, (rows, _) in enumerate(served.similar)
    ]
    for name, found in ((layout.RECOMMEND, recommended), (layout.SIMILAR, similar)):
        facts = truth.run.result.manifest.indexes[name]
        assert facts.backend == "annoy"
        assert facts.recall_at_10 >= facts.target_recall == 0.95
        # It was measured with a sample of the questions.
        assert np.mean(found) == pytest.approx(facts.recall_at_10, abs=0.01)


@pytest.fixture(scope="module")
def served_exactly(truth, stub):
    return ask_all(stub, truth.run, exact=True)


def test_searched_exactly_the_top_ten_of_every_user_are_lightfms_own(served_exactly, truth):
    different = 0
    for user, (rows, scores) in enumerate(served_exactly.recommended):
        expected = truth.unseen(user)
        top = np.argsort(-expected, kind="stable")[:LIMIT]
        np.testing.assert_allclose(scores, expected[top], rtol=0, atol=1e-4)
        # Where two scores are as good as equal, rounding decides which comes first.
        np.testing.assert_allclose(expected[rows], expected[top], rtol=0, atol=1e-5)
        different += rows != top.tolist()
    assert different < USERS // 100


def test_searched_exactly_the_neighbours_of_every_item_are_those_of_highest_cosine(
    served_exactly, truth
):
    cosines = truth.cosines - 3 * np.eye(len(truth.cosines))
    for item, (rows, scores) in enumerate(served_exactly.similar):
        highest = np.sort(cosines[item])[::-1][:LIMIT]
        np.testing.assert_allclose(scores, highest, rtol=0, atol=1e-4)
        np.testing.assert_allclose(cosines[item, rows], highest, rtol=0, atol=1e-5)


def test_the_split_is_the_first_ten_ratings_of_each_user(run):
    """GroupLens' `ua`, read again without the trainer: 90,570 and 9,430 ratings."""
    before = Counter()
    parts = {"train": {}, "test": {}}
    lines = (movielens.DATA_DIR / "movielens-100k" / "interactions.tsv").read_text().splitlines()
    for line in lines[1:]:
        user, item, rating, _ = line.split("\t")
        parts["test" if before[user] < 10 else "train"][user, item] = float(rating)
        before[user] += 1
    assert (len(parts["train"]), len(parts["test"])) == (90_570, 9_430)
    dataset = run.result.dataset
    assert datasets.pairs(dataset, dataset.train) == parts["train"]
    trained = {item for _, item in parts["train"]}
    known = {pair: rating for pair, rating in parts["test"].items() if pair[1] in trained}
    assert datasets.pairs(dataset, dataset.test) == known
    [warning] = [text for text in run.result.warnings if "test interactions" in text]
    assert warning.startswith(
        f"{9_430 - len(known)} of 9430 test interactions aren't evaluated: 2 repeat "
    )


def test_the_metrics_are_those_of_a_direct_run_of_lightfm(run):
    """Trained with nothing of this project but the matrix."""
    metrics, dataset = run.result.manifest.metrics, run.result.dataset
    model = LightFM(
        no_components=64,
        loss="warp",
        learning_rate=0.05,
        item_alpha=0.001,
        random_state=np.random.RandomState(42),
    )
    direct = model.fit(dataset.train, epochs=20, num_threads=1)
    for name, function, options in (
        ("precision_at_10", precision_at_k, {"k": 10}),
        ("auc", auc_score, {}),
    ):
        assert metrics[f"train_{name}"] == function(direct, dataset.train, **options).mean()
        assert metrics[f"test_{name}"] == function(direct, dataset.test, **options).mean()
        unseen = function(direct, dataset.test, train_interactions=dataset.train, **options)
        assert metrics[f"test_{name}_unseen"] == unseen.mean()
    assert 0.08 <= metrics["test_precision_at_10"] <= 0.11
    assert metrics["test_precision_at_10_unseen"] >= 0.24
    assert metrics["test_auc"] >= 0.89
    assert metrics["evaluated_users"] == USERS


def test_what_is_published_is_what_was_measured(run):
    publication = open_publication(run.volume, read_label(run.volume, "current"))
    assert verify(run.volume, publication.manifest.version) == run.result.manifest
    assert (len(publication.users), publication.manifest.components) == (943, 64)
    star_wars = publication.items.row("50")
    start, end = publication.titles.offsets[star_wars : star_wars + 2]
    assert bytes(publication.titles.values[start:end]) == b"Star Wars (1977)"
