import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given

from tests import specs
from trainer.errors import OptionError
from trainer.models.given import GivenHyperparameters
from trainer.spark.options import SparkAls
from trainer.spec import DataSpec, TrainingSpec, decode, encode, is_same

LOG = {"event_log": True}
OTHERS = "--interactions, --interactions-sql, --event-log"
ONE = f", but should be the only one of --dataset, {OTHERS}; --event-log may come in addition"
BOTH = {"dataset": "movielens-100k", "interactions": "a.csv"}
QUERY = {"interactions_sql": "SELECT 1", "database_url": "sqlite:///a"}


@given(specs.training_specs())
def test_a_spec_survives_its_json(spec):
    assert decode(encode(spec)) == spec


def test_the_json_does_not_depend_on_the_order_in_which_weights_were_given():
    """Two requests with the same id are compared by it, and a message's map has no order."""
    texts = [
        encode(specs.spec(data=DataSpec(event_log=True, event_weights=dict(weights))))
        for weights in ([("view", 1.0), ("buy", 5.0)], [("buy", 5.0), ("view", 1.0)])
    ]
    assert texts[0] == texts[1]


def test_what_is_left_out_of_the_json_has_its_default_and_what_is_out_of_range_is_refused():
    assert decode('{"data": {"event_log": true}}') == TrainingSpec(data=DataSpec(event_log=True))
    content = json.loads(encode(specs.spec()))
    content["hyperparameters"]["epochs"] = 0
    with pytest.raises(OptionError, match=r"--epochs is 0, but should be in 1..10000"):
        decode(json.dumps(content))


def test_the_log_may_come_beside_any_history():
    for history in ({"dataset": "movielens-100k"}, {"interactions": "a.csv"}, QUERY, {}):
        assert DataSpec(**history, event_log=True).has_history == bool(history)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, f"--dataset is missing, but should be given, or one of {OTHERS}"),
        *((own, f"--dataset is 'movielens-100k'{ONE}") for own in (BOTH, {**BOTH, **LOG})),
        ({"interactions": "a.csv", **QUERY}, f"--interactions is 'a.csv'{ONE}"),
        ({"interactions_sql": "a"}, "--database-url is missing, but should be used with --inter"),
        (
            {"interactions": "a", "database_url": "postgresql://me:hunter2@host/db"},
            "--database-url is '***', but should be used with --interactions-sql",
        ),
        *(
            ({**LOG, "event_weights": {"buy": 1.0, "view": own}}, f"'view={own}', but should be finite")
            for own in (math.nan, -math.inf, 1.1e9)
        ),
        *(
            ({**LOG, name: ["a", "b", "a"]}, "'a,b,a', but should be columns that are named once")
            for name in ("item_features", "user_features")
        ),
        ({**LOG, "item_attributes": ["year", "year:text"]}, "--item-attributes is"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_flag(values, message):
    with pytest.raises(OptionError) as caught:
        DataSpec(**values)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_warm_start_needs_a_label_to_start_from():
    with pytest.raises(OptionError, match="--warm-start is set, but should be used with a label"):
        specs.spec(warm_start=True, label=None)


# As release 0.4 stored a spec whose hyperparameters nobody gave.
STORED = {
    "backend": "annoy",
    "data": {
        "database_url": None,
        "dataset": None,
        "event_log": True,
        "event_weights": {},
        "feature_separator": "|",
        "half_life_days": None,
        "interactions": None,
        "interactions_sql": None,
        "item_attributes": [],
        "item_features": [],
        "items": None,
        "last_days": None,
        "split": None,
        "split_count": 1,
        "split_share": 0.1,
        "user_features": [],
        "users": None,
    },
    "hyperparameters": {
        "components": 64,
        "epochs": 20,
        "item_alpha": 0.001,
        "learning_rate": 0.05,
        "loss": "warp",
        "sample_weights": False,
        "seed": 42,
        "threads": 1,
        "user_alpha": 0.0,
    },
    "label": "current",
    "target_recall": 0.95,
    "warm_start": False,
}


def test_a_spec_of_an_earlier_release_means_what_it_meant():
    stored = decode(json.dumps(STORED))
    assert (stored.family, stored.settings, stored.budget_seconds) == ("lightfm", {}, None)
    assert not stored.chooses_model
    # Ten was LightFM's own number of draws.
    expected = {**STORED["hyperparameters"], "max_sampled": 10}
    assert asdict(stored.hyperparameters.of_lightfm()) == expected
    # With Spark, LightFM's defaults were stored too.
    with_spark = decode(json.dumps({**STORED, "spark": {"spark_master": "local[2]"}}))
    assert with_spark.spark.spark_master == "local[2]"


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"hyperparameters": GivenHyperparameters(epochs=20)}, True),
        ({"hyperparameters": GivenHyperparameters(epochs=21)}, False),
        ({"model": "als"}, False),
        ({"settings": {"epochs": "20"}}, False),
        ({"warm_start": True}, False),
        ({"model": "lightfm"}, False),
    ],
)
def test_a_request_that_is_repeated_after_an_upgrade_is_the_same_request(changes, same):
    asked = TrainingSpec(data=DataSpec(event_log=True), **changes)
    assert is_same(decode(json.dumps(STORED)), asked) is same
    assert is_same(asked, asked)


@pytest.mark.parametrize(
    ("changes", "family"),
    [
        ({}, "auto"),
        ({"budget_seconds": 9.0}, "auto"),
        ({"hyperparameters": GivenHyperparameters(seed=3, threads=2)}, "auto"),
        ({"hyperparameters": GivenHyperparameters(epochs=3)}, "lightfm"),
        ({"settings": {"epochs": "3"}}, "lightfm"),
        ({"warm_start": True}, "lightfm"),
        ({"data": DataSpec(interactions="a.csv", items="b", item_features=["genres"])}, "lightfm"),
        ({"spark": SparkAls()}, "lightfm"),
        ({"model": "als", "settings": {"epochs": "3"}}, "als"),
    ],
)
def test_without_a_name_a_model_is_searched_unless_something_is_given_that_lightfm_has(changes, family):
    made = TrainingSpec(**{"data": DataSpec(event_log=True), **changes})
    assert (made.family, made.chooses_model) == (family, family == "auto")


def test_what_nobody_gave_is_not_written_out():
    content = json.loads(encode(TrainingSpec(data=DataSpec(event_log=True))))
    assert content["hyperparameters"] == {"sample_weights": False, "seed": 42, "threads": 1}
    assert not {"model", "settings", "budget_seconds", "spark"} & content.keys()


FEATURES = DataSpec(interactions="a.csv", items="b.csv", item_features=["genres"])
GIVEN = GivenHyperparameters


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "eas"}, "--model is 'eas', but should be one of lightfm, als, bpr, ease, item-knn,"),
        ({"model": "ease", "settings": {"l": "1"}}, "one of l2, neighbours with --model ease; did you"),
        ({"model": "ease", "settings": {"l2": "0"}}, "--set is 'l2=0', but should be l2 above 0"),
        ({"model": "ease", "settings": {"l2": "nan"}}, "but should be l2 above 0"),
        (
            {"model": "als", "settings": {"epochs": "1.5"}},
            "epochs a whole number in 1..10000",
        ),
        ({"model": "item-knn", "settings": {"weighting": "idf"}}, "weighting one of none, tfidf, bm25"),
        (
            {"model": "als", "settings": {"epochs": "3"}, "hyperparameters": GIVEN(epochs=3)},
            "--set is 'epochs=3', but should be left out, since --epochs is given",
        ),
        (
            {"model": "ease", "hyperparameters": GIVEN(epochs=3)},
            "--epochs is 3, but should be left out with --model ease",
        ),
        (
            {"model": "als", "hyperparameters": GIVEN(item_alpha=0.1)},
            "--item-alpha is 0.1, but should be left out with --model als",
        ),
        (
            {"model": "bpr", "hyperparameters": GIVEN(sample_weights=True)},
            "--sample-weights is set, but should be left out with --model bpr",
        ),
        ({"model": "als", "data": FEATURES}, "--model als, which doesn't learn from features"),
        ({"model": "als", "warm_start": True}, "--model als, which can't continue a training"),
        (
            {"model": "als", "budget_seconds": 60.0},
            "--budget is '60s', but should be used with",
        ),
        ({"model": "auto", "budget_seconds": 0.0}, "--budget is 0.0, but should be above 0"),
        ({"model": "auto", "hyperparameters": GIVEN(epochs=3)}, "--model auto, which searches"),
        ({"model": "auto", "settings": {"l2": "3"}}, "--set is 'l2=3', but should be left out with"),
        (
            {"model": "ease", "users_by": "fold-in"},
            "--users-by is 'fold-in', but should be left out with --model ease",
        ),
        ({"model": "auto", "warm_start": True}, "--warm-start is set, but should be left out with"),
        (
            {"model": "als", "spark": SparkAls()},
            "--model is 'als', but should be left out with",
        ),
        (
            {"settings": {"epochs": "3"}, "spark": SparkAls()},
            "--set is 'epochs', but should be left",
        ),
    ],
)
def test_what_a_family_lacks_is_refused_by_its_flag(values, message):
    with pytest.raises(OptionError) as caught:
        TrainingSpec(**{"data": DataSpec(event_log=True), **values})
    assert message in str(caught.value)


def test_a_family_takes_its_settings_and_those_that_all_have():
    given = GIVEN(components=8, seed=3, threads=2, sample_weights=True)
    made = specs.spec(model="als", settings={"alpha": "2"}, hyperparameters=given)
    assert (made.model, made.chooses_model) == ("als", False)
    assert specs.spec(model="auto", hyperparameters=GIVEN(seed=3), budget_seconds=9.0).chooses_model
