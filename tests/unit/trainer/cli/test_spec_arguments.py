from __future__ import annotations

import argparse
from dataclasses import replace

import pytest
from hypothesis import example, given, settings

from tests import specs
from trainer.cli.arguments import parse
from trainer.cli.spec_arguments import has_source, training_spec
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.promotion.gates import Gates
from trainer.spec import DataSpec, TrainingSpec

LOG = TrainingSpec(data=DataSpec(event_log=True))
ATTRIBUTES = DataSpec(interactions="a.csv", items="b.csv", item_attributes=["tags:text", "year", "a:b"])
HERE = ("--volume", "v")
THERE = ("--target", "127.0.0.1:1")


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("TRAINER_VOLUME", "TRAINER_DATA_DIR", "TRAINER_LISTEN", "TRAINER_STATE"):
        monkeypatch.delenv(name, raising=False)


def spec_of(*flags, command="train", where=HERE):
    return training_spec(parse([command, *where, *flags]))


FLAGS = {
    "--interactions=a.csv": ("data", "interactions", "a.csv"),
    "--items=b.csv": ("data", "items", "b.csv"),
    "--users=c.csv": ("data", "users", "c.csv"),
    "--item-features= genres ,,year": ("data", "item_features", ["genres", "year"]),
    "--user-features=age": ("data", "user_features", ["age"]),
    "--item-attributes=tags, year:number": ("data", "item_attributes", ["tags", "year:number"]),
    "--feature-separator=;": ("data", "feature_separator", ";"),
    "--event-weights=view=1, a=b=5": ("data", "event_weights", {"view": 1.0, "a=b": 5.0}),
    "--half-life-days=30": ("data", "half_life_days", 30.0),
    "--last-days=90.5": ("data", "last_days", 90.5),
    "--split=leave-last-k": ("data", "split", "leave-last-k"),
    "--split-count=2": ("data", "split_count", 2),
    "--split-share=0.25": ("data", "split_share", 0.25),
    "--loss=bpr": ("hyperparameters", "loss", "bpr"),
    "--components=8": ("hyperparameters", "components", 8),
    "--learning-rate=0.5": ("hyperparameters", "learning_rate", 0.5),
    "--item-alpha=0.25": ("hyperparameters", "item_alpha", 0.25),
    "--user-alpha=0.125": ("hyperparameters", "user_alpha", 0.125),
    "--epochs=3": ("hyperparameters", "epochs", 3),
    "--sample-weights": ("hyperparameters", "sample_weights", True),
    "--seed=7": ("hyperparameters", "seed", 7),
    "--threads=2": ("hyperparameters", "threads", 2),
    "--backend=exact,annoy": (None, "backend", "exact,annoy"),
    "--trees=20": (None, "trees", 20),
    "--target-recall=0.5": (None, "target_recall", 0.5),
    "--strict-recall": (None, "strict_recall", True),
    "--index-threads=3": (None, "index_threads", 3),
    "--label=beta": (None, "label", "beta"),
    "--canary": (None, "label", "canary"),
    "--no-label": (None, "label", None),
    "--warm-start": (None, "warm_start", True),
    "--max-shrinkage=0.5": (None, "max_shrinkage", 0.5),
    "--min-precision-at-10=0.1": ("gates", "min_precision_at_10", 0.1),
    "--min-auc=0.9": ("gates", "min_auc", 0.9),
    "--min-recall=0.95": ("gates", "min_recall", 0.95),
    "--min-coverage=0.5": ("gates", "min_coverage", 0.5),
    "--max-relative-loss=0.05": ("gates", "max_relative_loss", 0.05),
    "--min-users-kept=0.9": ("gates", "min_users_kept", 0.9),
    "--min-items-kept=0.75": ("gates", "min_items_kept", 0.75),
    "--min-pairs-kept=0.5": ("gates", "min_pairs_kept", 0.5),
    "--allow-different-data": ("gates", "allow_different_data", True),
    "--allow-unevaluated": ("gates", "allow_unevaluated", True),
}


def test_without_flags_a_spec_has_the_dataclasses_defaults():
    assert spec_of("--event-log") == LOG


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_sets_its_field_and_no_other(flag):
    part, name, value = FLAGS[flag]
    source = [] if name == "interactions" else ["--event-log"]
    if part is None:
        expected = replace(LOG, **{name: value})
    elif name == "interactions":
        expected = replace(LOG, data=DataSpec(interactions="a.csv"))
    else:
        expected = replace(LOG, **{part: replace(getattr(LOG, part), **{name: value})})
    assert spec_of(*source, flag) == expected


def test_the_sources():
    assert spec_of("--dataset", "movielens-100k").data == DataSpec(dataset="movielens-100k")
    query = ["--interactions-sql", "SELECT 1", "--database-url", "sqlite:///a"]
    assert spec_of(*query).data == DataSpec(interactions_sql="SELECT 1", database_url="sqlite:///a")
    with pytest.raises(OptionError, match="--dataset"):
        spec_of()
    both = spec_of("--event-log", "--interactions", "a.csv").data
    assert both == DataSpec(event_log=True, interactions="a.csv")
    with pytest.raises(OptionError, match="--dataset"):
        spec_of("--dataset", "movielens-100k", "--interactions", "a.csv")


def test_every_field_has_a_flag():
    """But for those of the sources, most of which exclude one another."""
    set_by = {(part, name) for part, name, _ in FLAGS.values()}
    sources = {"dataset", "interactions_sql", "database_url", "event_log"}
    expected = {("data", name) for name in DataSpec.__dataclass_fields__ if name not in sources}
    expected |= {("hyperparameters", name) for name in Hyperparameters.__dataclass_fields__}
    expected |= {("gates", name) for name in Gates.__dataclass_fields__}
    # Spark's are tested by themselves.
    parts = {"data", "hyperparameters", "gates", "spark"}
    expected |= {(None, name) for name in TrainingSpec.__dataclass_fields__ if name not in parts}
    assert set_by == expected


@pytest.mark.parametrize("flag", FLAGS)
def test_train_here_train_there_and_serve_read_the_same_flags(flag):
    source = [] if flag.startswith("--interactions") else ["--event-log"]
    here = spec_of(*source, flag)
    assert spec_of(*source, flag, where=THERE) == here
    assert spec_of(*source, flag, command="serve") == here


def as_flags(spec):
    """A spec as somebody would write it on the command line."""
    flags = ["--no-label"] if spec.label is None else [f"--label={spec.label}"]
    data = spec.data
    parts = [(data, DataSpec), (spec.hyperparameters, Hyperparameters), (spec.gates, Gates)]
    values = {name: getattr(own, name) for own, of in parts for name in of.__dataclass_fields__}
    rest = "backend trees target_recall strict_recall index_threads warm_start max_shrinkage"
    values |= {name: getattr(spec, name) for name in rest.split()}
    for name, value in values.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            flags.append(flag)
        elif isinstance(value, dict):
            if value:
                flags.append(f"{flag}={','.join(f'{key}={own!r}' for key, own in value.items())}")
        elif isinstance(value, list):
            flags.append(f"{flag}={','.join(value)}")
        elif value is not None and value is not False:
            flags.append(f"{flag}={value}")
    return flags


@settings(max_examples=40)
@given(specs.training_specs())
@example(specs.spec(data=ATTRIBUTES))
def test_any_spec_can_be_written_as_flags(spec):
    # Commas and blanks around a name can't be told from what separates names.
    plain = replace(
        spec.data,
        dataset=None if spec.data.dataset is None else "movielens-100k",
        event_weights={
            f"e{number}": own for number, own in enumerate(spec.data.event_weights.values())
        },
        item_features=[f"c{number}" for number, _ in enumerate(spec.data.item_features)],
        user_features=[f"c{number}" for number, _ in enumerate(spec.data.user_features)],
    )
    spec = replace(spec, data=plain)
    assert spec_of(*as_flags(spec)) == spec
    assert spec_of(*as_flags(spec), where=THERE) == spec


@pytest.mark.parametrize("text", ["view=2,=1", " =1, view=2"])
def test_interactions_without_a_type_have_a_weight_too(text):
    spec = spec_of("--event-log", f"--event-weights={text}")
    assert spec.data.event_weights == {"view": 2.0, "": 1.0}


@pytest.mark.parametrize("text", ["view", "view=", "view=much", "view=1,buy", "1"])
def test_what_is_no_weight_is_refused(capsys, text):
    with pytest.raises(SystemExit):
        parse(["train", *HERE, "--event-log", f"--event-weights={text}"])
    assert "should be EVENT=WEIGHT, such as view=1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "option"),
    [
        (["--half-life-days", "nan"], "--half-life-days"),
        (["--event-weights", "view=inf"], "--event-weights"),
        (["--min-auc", "nan"], "--min-auc"),
        (["--max-shrinkage", "nan"], "--max-shrinkage"),
        (["--learning-rate", "nan"], "--learning-rate"),
        (["--epochs", "0"], "--epochs"),
        (["--item-attributes", "title"], "--item-attributes"),
        (["--item-attributes", "year,year:text"], "--item-attributes"),
        (["--warm-start", "--no-label"], "--warm-start"),
    ],
)
def test_a_value_that_is_out_of_range_is_named(flags, option):
    with pytest.raises(OptionError) as caught:
        spec_of("--event-log", *flags)
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["--label", "a"], ["--no-label"]),
        (["--label", "a"], ["--canary"]),
        (["--canary"], ["--no-label"]),
    ],
)
def test_two_labels_are_refused(capsys, one, other):
    with pytest.raises(SystemExit):
        parse(["train", *HERE, *one, *other])
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "given_one"),
    [
        ([], False),
        (["--event-log"], True),
        (["--interactions", "a"], True),
        (["--dataset", "movielens-100k"], True),
        (["--interactions-sql", "SELECT 1"], True),
        (["--items", "a"], False),
    ],
)
def test_whether_interactions_are_named(flags, given_one):
    assert has_source(parse(["serve", *HERE, *flags])) is given_one


def test_a_namespace_of_another_command_has_no_source():
    assert has_source(argparse.Namespace(event_log=False)) is False
