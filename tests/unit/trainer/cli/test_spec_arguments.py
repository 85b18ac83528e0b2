from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given, settings

from lightfm_retriever.hosting.errors import UsageError
from lightfm_retriever.hosting.options import declared
from tests import specs
from trainer.cli.arguments import parse
from trainer.cli.spec_arguments import has_source, training_spec
from trainer.spec import DataSpec, TrainingSpec

LOG = TrainingSpec(data=DataSpec(event_log=True))
ATTRIBUTES = DataSpec(interactions="a.csv", items="b.csv", item_attributes=["tags:text", "year", "a:b"])
HERE = ("--volume", "v")
THERE = ("--target", "127.0.0.1:1")


def spec_of(*flags, command="train", where=HERE):
    return training_spec(parse([command, *where, *flags]))


def as_flags(spec):
    """A spec as somebody would write it on the command line."""
    flags = ["--no-label"] if spec.label is None else [f"--label={spec.label}"]
    for own in (spec, spec.data, spec.data.form, spec.hyperparameters, spec.gates):
        for name, one in declared(type(own)).items():
            value = getattr(own, name)
            if value is True:
                flags.append(one.flag)
            elif one.option.repeated:
                flags += [f"{one.flag}={key}={text}" for key, text in value.items()]
            elif isinstance(value, dict) and value:
                flags.append(f"{one.flag}={','.join(f'{key}={v}' for key, v in value.items())}")
            elif isinstance(value, list):
                flags.append(f"{one.flag}={','.join(value)}")
            elif name == "budget_seconds" and value is not None:
                flags.append(f"{one.flag}={format(Decimal(value), 'f')}s")
            elif value is not None and value is not False and value != {}:
                flags.append(f"{one.flag}={value}")
    return flags


@settings(max_examples=10)
@given(specs.training_specs())
@example(specs.spec(data=ATTRIBUTES))
@example(specs.spec(gates=replace(LOG.gates, min_auc=0.0, allow_unevaluated=True), max_shrinkage=0.0))
def test_any_spec_is_the_same_by_train_here_and_there_and_by_serve(spec):
    # Commas and blanks around a name can't be told from what separates names.
    plain = replace(
        spec.data,
        dataset=None if spec.data.dataset is None else "movielens-100k",
        event_weights={f"e{n}": own for n, own in enumerate(spec.data.event_weights.values())},
        item_features=[f"c{number}" for number, _ in enumerate(spec.data.item_features)],
        user_features=[f"c{number}" for number, _ in enumerate(spec.data.user_features)],
        segment_by=[f"c{number}" for number, _ in enumerate(spec.data.segment_by)],
    )
    least = {f"m{n}": own for n, own in enumerate(spec.gates.min_metric.values())}
    spec = replace(spec, data=plain, gates=replace(spec.gates, min_metric=least))
    flags = as_flags(spec)
    assert spec_of(*flags) == spec
    assert spec_of(*flags, where=THERE) == spec
    assert spec_of(*flags, command="serve") == spec


def test_the_label_is_one_of_three_flags_and_all_has_the_dataclasses_defaults():
    assert spec_of("--event-log") == LOG
    labels = {"--label=b": "b", "--canary": "canary", "--no-label": None}
    for flag, label in labels.items():
        assert spec_of("--event-log", flag) == replace(LOG, label=label)
        for other in labels.keys() - {flag}:
            with pytest.raises(UsageError, match=r"give --.* or --.*, not both"):
                parse(["train", *HERE, flag, other])


def test_names_and_weights_are_told_apart_by_commas():
    flags = ["--event-log", "--item-features", " genres ,,year", "--event-weights", " =1, v=2"]
    data = spec_of(*flags).data
    assert data.item_features == ["genres", "year"]
    # Interactions without a type have a weight too.
    assert data.event_weights == {"v": 2.0, "": 1.0}
    for text in ("view", "view=much", "view=1,buy"):
        with pytest.raises(UsageError, match="should be NAME=NUMBER, such as view=1"):
            parse(["train", *HERE, "--event-log", f"--event-weights={text}"])


def test_whether_interactions_are_named():
    named = ("--event-log", "--interactions a", "--dataset movielens-100k", "--interactions-sql q")
    for flags in (*named, "--items a", ""):
        assert has_source(parse(["serve", *HERE, *flags.split()])) is (flags in named)
