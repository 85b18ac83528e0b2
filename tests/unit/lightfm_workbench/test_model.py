from pathlib import Path

import pandas as pd
import pytest

import lightfm_workbench as wb
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_retriever.publication.volume import Volume
from tests import datasets
from tests.unit.lightfm_workbench.conftest import LIGHTFM, columns
from trainer.errors import InputError, OptionError, TrainerError
from trainer.models.given import GivenHyperparameters
from trainer.pipeline import Places, train_and_publish
from trainer.promotion.gates import DiscontinuityError
from trainer.spec import DataSpec, TrainingSpec

ANY = wb.Gates(allow_unevaluated=True, min_auc=0.0)


def test_a_model_has_the_metrics_of_a_training_run_on_the_same_data(model, published, tmp_path):
    path = datasets.write_rows(tmp_path / "interactions.csv")
    spec = TrainingSpec(
        data=DataSpec(interactions=str(path), split="random", split_share=0.25),
        model="lightfm",
        hyperparameters=GivenHyperparameters(**LIGHTFM),
        index_threads=1,
    )
    run = train_and_publish(spec, Places(Volume(tmp_path / "volume"), tmp_path, tmp_path))
    assert model.metrics.items() <= run.manifest.metrics.items()
    assert published.manifest.metrics == run.manifest.metrics
    assert published.manifest.evaluation == run.manifest.evaluation
    assert published.manifest.hyperparameters == run.manifest.hyperparameters
    vectors = ("item_vectors.npy", "user_vectors.npy")
    for name in vectors:
        assert published.manifest.files[name].sha256 == run.manifest.files[name].sha256


def test_equal_seeds_give_equal_models(data, model):
    again = wb.fit(data, model="lightfm", split_share=0.25, **LIGHTFM)
    assert again.metrics == model.metrics
    assert again.recommend(again.user_ids).rows() == model.recommend(model.user_ids).rows()
    other = wb.fit(data, model="lightfm", split_share=0.25, **{**LIGHTFM, "seed": 2})
    assert other.metrics != model.metrics


def test_a_model_says_what_it_is(model):
    assert model.family == "lightfm"
    assert (model.settings["components"], model.settings["seed"]) == (4, 1)
    assert model.evaluation.users == model.metrics["evaluated_users"]
    assert repr(model).startswith("<lightfm: 24 users, 16 items, NDCG@10 0.")
    assert {*model.seconds} >= {"dataset", "fit", "evaluate"}
    assert model.candidates().columns[:3] == ["model", "settings", "state"]


def test_a_search_shows_its_candidates():
    model = wb.fit(columns(), model="auto", budget="20s", seed=1)
    rows = model.candidates().rows()
    assert {row["model"] for row in rows} >= {"lightfm", "ease", "item-knn"}
    best = max(row["ndcg_at_10"] or 0 for row in rows)
    assert any(row["ndcg_at_10"] == best and row["model"] == model.family for row in rows)


def test_gates_decide_about_the_label(model, published, tmp_path):
    assert published.passed
    assert published.label_moved == "current"
    assert published.volume.labels() == {"current": published.version}
    assert repr(published) == f"<published {published.version}: label 'current' moved>"
    assert published.open().name == published.version
    refused = model.publish(published.volume, gates=wb.Gates(min_auc=0.999), index_threads=1)
    assert not refused.passed
    assert refused.label_moved is None
    gates = {row["name"]: row for row in refused.gates().rows()}
    assert (gates["min_auc"]["passed"], gates["min_auc"]["required"]) == (False, 0.999)
    assert "failed gates: " in repr(refused)
    assert published.volume.labels() == {"current": published.version}
    unlabelled = model.publish(published.volume, label=None, index_threads=1)
    assert unlabelled.label_moved is None


def test_data_that_keeps_too_little_of_the_label_is_not_published(published):
    other = wb.fit(columns([(f"x{user}", item, weight) for user, item, weight in datasets.rows()]))
    before = published.volume.versions()["version"]
    with pytest.raises(DiscontinuityError):
        other.publish(published.volume, gates=ANY, index_threads=1)
    assert published.volume.versions()["version"] == before


def test_a_backend_is_chosen_by_name(model, tmp_path):
    made = model.publish(tmp_path / "volume", backend="exact", gates=ANY)
    assert {own.backend for own in made.manifest.indexes.values()} == {"exact"}


def test_a_model_leaves_no_files(data, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = wb.fit(data, model="lightfm", **LIGHTFM)
    own.recommend("u3")
    assert [*tmp_path.iterdir()]
    del own
    assert [*Path(tmp_path).iterdir()] == []


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": "ese"}, OptionError, "--model is 'ese', but should be one of"),
        ({"epoch": 3}, ArgumentError, "there is no option epoch; did you mean epochs?"),
        ({"epochs": 0}, OptionError, "--epochs is 0"),
        ({"epochs": "many"}, ArgumentError, "epochs is the text 'many'"),
        ({"model": "ease", "settings": {"l3": 1}}, OptionError, "--set is 'l3=1'"),
        ({"model": "ease", "epochs": 3}, OptionError, "left out with --model ease"),
        ({"split": "time"}, InputError, "there is no column timestamp, which --split time needs"),
        ({"warm_start": True}, ArgumentError, "there is no option warm_start"),
        ({"seed": "1"}, ArgumentError, "seed is the text '1'"),
        ({"settings": 3}, ArgumentError, "set is 3, but should be a mapping"),
    ],
)
def test_a_wrong_option_is_named(options, error, text):
    with pytest.raises(error, match=text):
        wb.fit(columns(), **options)


def test_too_little_data_is_an_error():
    with pytest.raises(TrainerError):
        wb.fit(pd.DataFrame({"user_id": ["a"], "item_id": ["x"], "weight": [0]}), model="lightfm")
