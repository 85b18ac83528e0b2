"""A notebook's answers and metrics are those of the services."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

import lightfm_workbench as wb
from retriever.asking.answers import answer
from retriever.asking.requests import RecommendRequest, SimilarItemsRequest
from retriever.client import RetrieverClient
from tests import datasets
from tests.integration.trainer.conftest import call
from tests.service import PATIENCE, Service

SHOP = datasets.rows(seed=3)
USERS = [*dict.fromkeys(user for user, _, _ in SHOP)]
ITEMS = [*dict.fromkeys(item for _, item, _ in SHOP)]
FILMS = {
    "item_id": ITEMS,
    "title": [f"Film {item}" for item in ITEMS],
    "genres": [datasets.GENRES[place % 3] for place in range(len(ITEMS))],
    "year": [1990 + place for place in range(len(ITEMS))],
}
MODELS = {
    "lightfm": {"epochs": 3, "components": 8},
    "als": {"epochs": 3, "components": 8},
}
QUESTIONS = [
    *(RecommendRequest(user, limit=4, titles=True, attributes=["genres", "year"]) for user in USERS),
    *(RecommendRequest(user, exclude_seen=False, explain=True) for user in USERS[:5]),
    RecommendRequest(USERS[0], filter=[wb.any_of("genres", "Drama"), wb.in_range("year", min=1993)]),
    RecommendRequest(USERS[0], filter=wb.any_of("genres", "Dramma")),
    RecommendRequest(session={ITEMS[0]: 2.0, ITEMS[1]: 1.0}, explain=True),
    RecommendRequest(session=[ITEMS[0], "nothing"], unknown_ids="ignore"),
    RecommendRequest("nobody", unknown_ids="popular", exclude_item_ids=ITEMS[:3]),
    RecommendRequest(USERS[1], limit=3, paginate=True, search_effort=2),
    *(SimilarItemsRequest(item, limit=5, exact=True) for item in ITEMS),
    SimilarItemsRequest(items=ITEMS[:3], explain=True, titles=True),
]
# An item-item model has no vectors.
OF_VECTORS = [RecommendRequest(USERS[2], diversity=0.5)]


@pytest.fixture(scope="module", params=MODELS)
def published(request, tmp_path_factory):
    data = wb.read({name: [*own] for name, own in columns().items()}, items=FILMS, **attributes())
    model = wb.fit(data, model=request.param, split_share=0.25, seed=5, **MODELS[request.param])
    gates = wb.Gates(allow_unevaluated=True, min_auc=0.0, min_recall=0.0)
    volume = tmp_path_factory.mktemp("same") / "volume"
    return model, model.publish(volume, gates=gates, index_threads=1)


def columns():
    return dict(zip(("user_id", "item_id", "weight"), zip(*SHOP, strict=True), strict=True))


def questions(model):
    return QUESTIONS if model.made.embeddings is None else [*QUESTIONS, *OF_VECTORS]


def attributes():
    return {"item_attributes": ["genres", "year"]}


def test_a_version_answers_in_process_as_a_server_does(published, tmp_path):
    model, made = published
    assert made.label_moved == "current"
    current = made.volume.current()
    with Service(made.volume.files.folder, tmp_path / "log", workers=1) as service:
        service.wait_until_all_serve(made.version)
        stub = service.stub()
        for question in questions(model):
            recommends = isinstance(question, RecommendRequest)
            ask = stub.Recommend if recommends else stub.SimilarItems
            response = ask(question.to_message(), timeout=PATIENCE)
            assert current.ask(question) == answer(response)
        with RetrieverClient(service.target) as client:
            answers = client.batch_recommend([RecommendRequest(user, limit=3) for user in USERS])
    rows = [(item.item_id, item.score) for one in answers for item in one.items]
    found = current.recommend(USERS, limit=3)
    assert [*zip(found["item_id"], found["score"], strict=True)] == rows


def test_threads_may_share_a_version(published):
    model, made = published
    current = made.volume.current()
    expected = [current.ask(question) for question in questions(model)]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(current.ask, questions(model))] == expected


def test_equal_seeds_give_the_metrics_of_the_command(published, tmp_path):
    model, made = published
    path = datasets.write_rows(tmp_path / "interactions.csv", SHOP)
    options = [part for name, own in MODELS[model.family].items() for part in (f"--{name}", str(own))]
    done = call(
        *("train", "--interactions", path, "--model", model.family, *options, "--split-share", "0.25"),
        *(
            "--seed",
            "5",
            "--volume",
            tmp_path / "volume",
            "--index-threads",
            "1",
            "--no-label",
            "--json",
        ),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert model.metrics.items() <= told["metrics"].items()
    assert told["hyperparameters"] == made.manifest.hyperparameters
