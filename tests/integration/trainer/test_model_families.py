"""Each family of models goes the whole way: trained by a command, published, and asked."""

import json

import numpy as np
import pytest

from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.verification import verify
from retriever.answering.snapshot import open_snapshot
from tests import datasets, retrievable
from trainer import models
from trainer.models.given import GivenHyperparameters
from trainer.models.protocol import Fitting, Shape

USERS, ITEMS = 60, 30
ROWS = [
    (f"u{user}", f"i{item}", 1.0)
    for user in range(USERS)
    for item in np.random.default_rng(user).choice(ITEMS // 2, 7, replace=False) + 15 * (user % 2)
]
QUICK = {"components": 8, "epochs": 20}


@pytest.fixture
def file(tmp_path):
    return datasets.write_rows(tmp_path / "interactions.csv", ROWS)


@pytest.fixture
def train(here, tmp_path, file):
    """Trains by the command with a family that can be published."""

    def train(*flags, status=0):
        flags = ["--interactions", file, "--volume", tmp_path / "volume", "--backend", "exact", *flags]
        found, output, errors = here("train", "--json", "--allow-unevaluated", *flags)
        assert found == status, errors
        return json.loads(output) if status == 0 else errors

    return train


def flags_of(family):
    own = vars(family.default(Shape(users=1, items=1, positives=1)))
    return {name: value for name, value in QUICK.items() if name in own}


@pytest.mark.parametrize("name", models.NAMES)
def test_a_retriever_recommends_what_the_model_scores_best(train, tmp_path, name):
    family = models.family(name)
    given = flags_of(family)
    flags = [f"--{option}={value}" for option, value in given.items()]
    flags += ["--users-by", "trained"] * family.has_vectors
    version = train("--model", name, "--split", "none", *flags)["version"]
    volume = tmp_path / "volume"
    assert read_label(volume, "current") == version
    manifest = verify(volume, version)
    assert manifest.hyperparameters["model"] == name
    assert manifest.hyperparameters.items() >= given.items()
    assert manifest.libraries.keys() >= {*family.libraries}

    dataset = datasets.dataset(ROWS)
    shape = Shape.of(dataset)
    chosen = models.settings_of(family, GivenHyperparameters(**given), {})
    settings = family.filled(shape, chosen)
    scores = family.fit(dataset, settings, Fitting(seed=42)).scores
    snapshot = open_snapshot(volume, version)
    items, users = snapshot.publication.items, snapshot.publication.users
    for user in range(0, USERS, 7):
        found = retrievable.recommend(snapshot, f"u{user}").rows
        row = dataset.users.row(f"u{user}")
        [[own]] = scores.chunks(np.array([row]))
        seen = dataset.seen()[row]
        mine = [dataset.items.row(items.external_id(one)) for one in found.tolist()]
        assert not {*mine} & {*seen.tolist()}
        own[seen] = -np.inf
        # An item that no neighbour speaks for isn't recommended.
        expected = own if family.has_vectors else own[own > 0]
        # Equal scores may come in another order.
        np.testing.assert_allclose(own[mine], np.sort(expected)[::-1][:10], rtol=1e-3, atol=1e-4)
        assert users.external_id(users.row(f"u{user}")) == f"u{user}"


def test_a_search_publishes_the_best_candidate_and_all_of_their_values(train, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "NAMES", ("als", "bpr"))
    flags = ["--model", "auto", "--budget", "20m", "--seed", "3"]
    versions = [train(*flags)["version"] for _ in range(2)]
    manifests = [verify(tmp_path / "volume", version) for version in versions]
    for manifest in manifests:
        done = [own for own in manifest.candidates if own.state == "complete"]
        best = max(done, key=lambda own: own.ndcg_at_10)
        assert {own.model for own in done} == {"als", "bpr"}
        assert manifest.hyperparameters["model"] == best.model
        assert manifest.hyperparameters.items() >= best.settings.items()
        assert manifest.run.seconds["select"] > 0
    # The same data and seed have the same choice.
    chosen = [
        [(own.model, own.settings, own.ndcg_at_10) for own in one.candidates] for one in manifests
    ]
    assert chosen[0] == chosen[1]
    snapshot = open_snapshot(tmp_path / "volume", versions[0])
    items = snapshot.publication.items
    good = [
        int(items.external_id(row)[1:]) // 15 == user % 2
        for user in range(USERS)
        for row in retrievable.recommend(snapshot, f"u{user}").rows[:5].tolist()
    ]
    assert np.mean(good) > 0.8


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "auto", "--budget", "0.05s"], "no model could be fitted within --budget 0.05s"),
        (["--model", "als", "--set", "regularization=1e9"], "all scores are nearly 0; lower the regul"),
    ],
)
def test_a_model_that_cannot_be_fitted_publishes_nothing(train, tmp_path, flags, message):
    assert message in train(*flags, status=1)
    assert not [*(tmp_path / "volume" / "versions").glob("*")]


def test_a_catalogue_too_large_for_ease_is_known_before_the_fit(train, monkeypatch):
    monkeypatch.setattr("trainer.models.ease.MAX_ROWS", ITEMS - 1)
    errors = train("--model", "ease", status=2)
    for part in ("--model is 'ease'", "30 x 30", "limit is 29", "item-knn and als have no"):
        assert part in errors


def test_a_search_needs_users_with_validation_interactions(here, tmp_path):
    file = datasets.write_rows(tmp_path / "one.csv", [("u", "i", 1.0), ("v", "j", 1.0)])
    flags = ["--interactions", file, "--volume", tmp_path / "volume", "--model", "auto"]
    status, _, errors = here("train", *flags)
    assert status == 1
    assert "validation" in errors or "no positive" in errors
