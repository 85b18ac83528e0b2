"""A model trained with the defaults and asked over the wire: what is served is what LightFM says."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.volume import Volume
from tests import datasets, movielens
from tests.service import PATIENCE, Service
from trainer.pipeline import Places, train_and_publish
from trainer.promotion.checks import promote_if_passed
from trainer.spec import DataSpec, TrainingSpec

# Training takes its time, and much of it on a busy machine.
pytestmark = pytest.mark.timeout(300)

USERS = 943
LIMIT = 10


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What `train --dataset movielens-100k --model lightfm --users-by trained` makes."""
    if reason := movielens.missing():
        pytest.skip(reason)
    volume = tmp_path_factory.mktemp("movielens") / "volume"
    spec = TrainingSpec(data=DataSpec(dataset="movielens-100k"), model="lightfm", users_by="trained")
    places = Places(Volume(volume), movielens.DATA_DIR, movielens.DATA_DIR)
    result = train_and_publish(spec, places, source=movielens.read())
    promote_if_passed(places.volume, result, label="current")
    return SimpleNamespace(volume=volume, result=result)


@pytest.fixture(scope="module")
def truth(run):
    """What LightFM says, asked as its documentation asks it.

    unseen: (users, items) `LightFM.predict` of every pair, what is in the training data below all
    others; others: (items, items) cosines of LightFM's item representations, an item itself below all.
    """
    model, dataset = run.result.model, run.result.dataset
    users, items = len(dataset.users), len(dataset.items)
    features = {"user_features": dataset.user_features, "item_features": dataset.item_features}
    scores = np.stack([model.predict(row, np.arange(items), **features) for row in range(users)])
    _, embeddings = model.get_item_representations(dataset.item_features)
    unit = np.float64(embeddings) / np.linalg.norm(np.float64(embeddings), axis=1, keepdims=True)
    unseen = np.where(dataset.train.toarray() != 0, -np.inf, scores)
    return SimpleNamespace(unseen=unseen, others=unit @ unit.T - 3 * np.eye(items))


@pytest.fixture(scope="module")
def stub(run):
    """Asks a service with an index by Annoy, tuned as by default."""
    with Service(run.volume, run.volume.with_name("log"), workers=2) as service:
        service.wait_until_all_serve(run.result.manifest.version)
        yield service.stub()


def ask_all(stub, run, **how):
    """Both questions: item rows and scores for every user, and for every item."""
    users, items = run.result.dataset.users, run.result.dataset.items

    def taken_apart(response):
        rows = [items.row(item.item_id) for item in response.items]
        return rows, [item.score for item in response.items]

    recommended = [pb.RecommendRequest(user_id=users.external_id(row), **how) for row in range(USERS)]
    ids = map(items.external_id, range(len(items)))
    similar = [pb.SimilarItemsRequest(item_id=own, **how) for own in ids]
    return (
        [taken_apart(stub.Recommend(request, timeout=PATIENCE)) for request in recommended],
        [taken_apart(stub.SimilarItems(request, timeout=PATIENCE)) for request in similar],
    )


def test_every_score_is_lightfms_best_first_and_as_much_is_found_as_the_manifest_says(stub, run, truth):
    # So small a catalogue is scored whole, unless somebody says how hard to ask the index.
    recommended, similar = ask_all(stub, run, search_effort=1)
    assert (len(recommended), np.isinf(truth.unseen).sum()) == (USERS, run.result.dataset.train.nnz)
    assert len(similar) == len(truth.others) > 1600
    for name, answers, expected in (
        (layout.RECOMMEND, recommended, truth.unseen),
        (layout.SIMILAR, similar, truth.others),
    ):
        found = []
        for asked, (rows, scores) in enumerate(answers):
            # Of what was seen, and of the item itself, it would be far lower.
            np.testing.assert_allclose(scores, expected[asked, rows], rtol=0, atol=1e-4)
            assert len({*rows}) == LIMIT
            assert scores == sorted(scores, reverse=True)
            top = np.argsort(-expected[asked], kind="stable")[:LIMIT]
            found.append(len({*rows} & {*top.tolist()}) / LIMIT)
        facts = run.result.manifest.indexes[name]
        assert facts.backend == "annoy"
        assert facts.recall_at_10 >= facts.target_recall == 0.95
        # It was measured with a sample of the questions.
        assert np.mean(found) == pytest.approx(facts.recall_at_10, abs=0.01)


def test_searched_exactly_all_are_those_of_lightfms_highest_scores(stub, run, truth):
    recommended, similar = ask_all(stub, run, exact=True)
    for answers, expected in ((recommended, truth.unseen), (similar, truth.others)):
        different = 0
        for asked, (rows, scores) in enumerate(answers):
            top = np.argsort(-expected[asked], kind="stable")[:LIMIT]
            np.testing.assert_allclose(scores, expected[asked, top], rtol=0, atol=1e-4)
            # Where two scores are as good as equal, rounding decides which comes first.
            np.testing.assert_allclose(expected[asked, rows], expected[asked, top], rtol=0, atol=1e-5)
            different += rows != top.tolist()
        assert answers is similar or different < USERS // 100


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
    unknown = 9_430 - len(known)
    assert warning.startswith(f"note: {unknown} of 9430 test interactions aren't evaluated: 2 repeat ")


def test_the_metrics_are_those_of_a_direct_run_of_lightfm(run):
    """Trained with nothing of this project but the matrix."""
    metrics, dataset = run.result.manifest.metrics, run.result.dataset
    used = run.result.manifest.hyperparameters
    names = ("loss", "learning_rate", "item_alpha", "user_alpha", "max_sampled")
    options = {"no_components": used["components"], **{name: used[name] for name in names}}
    model = LightFM(random_state=np.random.RandomState(42), **options)
    direct = model.fit(dataset.train, epochs=used["epochs"], num_threads=1)
    for name, function, options in (
        ("precision_at_10", precision_at_k, {"k": 10}),
        ("auc", auc_score, {}),
    ):
        unseen = function(direct, dataset.test, train_interactions=dataset.train, **options)
        expected = {
            f"train_{name}": function(direct, dataset.train, **options).mean(),
            f"test_{name}": function(direct, dataset.test, **options).mean(),
            f"test_{name}_unseen": unseen.mean(),
        }
        # LightFM's means are those of float32.
        assert {own: metrics[own] for own in expected} == pytest.approx(expected, abs=1e-6)
    assert 0.08 <= metrics["test_precision_at_10"] <= 0.13
    assert metrics["test_precision_at_10_unseen"] >= 0.24
    assert metrics["test_auc"] >= 0.89
    assert metrics["evaluated_users"] == USERS
