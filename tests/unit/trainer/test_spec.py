import json
import math

import pytest
from hypothesis import given

from tests import specs
from trainer.errors import OptionError
from trainer.spec import DataSpec, TrainingSpec, decode, encode

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
