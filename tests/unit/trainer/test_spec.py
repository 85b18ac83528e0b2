from __future__ import annotations

import json

import pytest
from hypothesis import given

from tests import specs
from trainer.errors import OptionError
from trainer.spec import DataSpec, TrainingSpec, decode, encode

NAN, INF = float("nan"), float("inf")
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


def test_what_is_left_out_of_the_json_has_its_default():
    assert decode('{"data": {"event_log": true}}') == TrainingSpec(data=DataSpec(event_log=True))


def test_a_value_that_is_out_of_range_is_refused_when_it_is_read_again():
    content = json.loads(encode(specs.spec()))
    content["hyperparameters"]["epochs"] = 0
    with pytest.raises(OptionError, match=r"--epochs is 0, but should be in 1..10000"):
        decode(json.dumps(content))


@pytest.mark.parametrize(
    ("sources", "option"),
    [
        ({}, "--dataset"),
        ({"dataset": "movielens-100k", "interactions": "a.csv"}, "--dataset"),
        ({"dataset": "movielens-100k", "interactions": "a.csv", "event_log": True}, "--dataset"),
        ({"interactions": "a.csv", **QUERY}, "--interactions"),
    ],
)
def test_exactly_one_history_or_the_log_has_to_be_given(sources, option):
    with pytest.raises(OptionError) as caught:
        DataSpec(**sources)
    assert caught.value.option == option
    for flag in ("--dataset", "--interactions", "--interactions-sql", "--event-log"):
        assert flag in str(caught.value)


@pytest.mark.parametrize("history", [{"dataset": "movielens-100k"}, {"interactions": "a.csv"}, QUERY])
def test_the_log_may_come_beside_any_history(history):
    assert DataSpec(**history, event_log=True).has_history
    assert not DataSpec(event_log=True).has_history


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"interactions_sql": "SELECT 1"}, "--database-url is missing"),
        ({"interactions": "a", "database_url": "postgresql://me:hunter2@host/db"}, "'***'"),
    ],
)
def test_a_query_and_a_database_go_together(values, message):
    with pytest.raises(OptionError, match="used with --interactions-sql") as caught:
        DataSpec(**values)
    assert caught.value.option == "--database-url"
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("weight", [NAN, -INF, 1.1e9])
def test_a_weight_that_is_out_of_range_is_named_with_its_event(weight):
    with pytest.raises(OptionError, match=f"--event-weights is 'view={weight}', but should be finite"):
        DataSpec(event_log=True, event_weights={"buy": 1.0, "view": weight})


@pytest.mark.parametrize("option", ["half_life_days", "last_days"])
def test_days_are_above_0_and_finite(option):
    for days in (0.0, NAN, INF):
        with pytest.raises(OptionError, match=f"--{option.replace('_', '-')} is {days}, but should be"):
            DataSpec(event_log=True, **{option: days})


def test_a_warm_start_needs_a_label_to_start_from():
    with pytest.raises(OptionError, match="--warm-start is set, but should be used with a label"):
        specs.spec(warm_start=True, label=None)


@pytest.mark.parametrize("kind", ["item", "user"])
def test_a_feature_column_is_named_once(kind):
    with pytest.raises(OptionError) as caught:
        DataSpec(event_log=True, **{f"{kind}_features": ["age", "sex", "age"]})
    expected = f"--{kind}-features is 'age,sex,age', but should be columns that are named once each"
    assert str(caught.value) == expected
