import json
import math

import pytest

from tests import specs
from trainer.__main__ import main
from trainer.cli.arguments import parse
from trainer.cli.spec_arguments import training_spec
from trainer.errors import OptionError
from trainer.models.given import GivenHyperparameters
from trainer.service.messages import spec_message, spec_of
from trainer.spark.options import SparkAls
from trainer.spec import decode, encode

ALS = SparkAls(
    spark_master="spark://a:7077",
    spark_conf={"spark.executor.memory": "4g", "spark.a": "b=c,d"},
    als_regularization=0.5,
    als_alpha=3.0,
)


def spec_by(*flags, command="train", where=("--volume", "v")):
    return training_spec(parse([command, *where, "--interactions", "a.csv", *flags]))


@pytest.mark.parametrize("command", ["train", "serve"])
def test_the_flags_of_spark(command):
    flags = ["--engine=spark-als", "--spark-master=spark://a:7077", "--als-regularization=0.5"]
    flags += ["--als-alpha=3", "--spark-conf=spark.executor.memory=4g", "--spark-conf=spark.a=b=c,d"]
    assert spec_by(*flags, command=command).spark == ALS
    assert spec_by(command=command).spark is None
    assert spec_by("--engine=lightfm", command=command).spark is None
    # What both engines have is kept.
    both = ["--components=8", "--epochs=3", "--seed=7", "--sample-weights"]
    spec = spec_by("--engine=spark-als", *both, command=command)
    expected = GivenHyperparameters(components=8, epochs=3, seed=7, sample_weights=True)
    assert (spec.spark, spec.hyperparameters) == (SparkAls(), expected)


SPARKS = "--spark-master=local[2] --spark-conf=spark.a=b --als-alpha=1 --als-regularization=0.1"


LIGHTFMS = "--loss=bpr --learning-rate=0.5 --item-alpha=0.5 --user-alpha=0.5 --threads=2 --warm-start"
LIGHTFMS += " --item-features=genres,year --user-features=age"


def test_what_only_one_engine_has_is_refused_with_both_names():
    refusal = "should be left out with --engine spark-als: it is for --engine lightfm"
    for flag in LIGHTFMS.split():
        name, _, shown = flag.partition("=")
        with pytest.raises(OptionError, match=refusal) as caught:
            spec_by("--engine=spark-als", flag)
        assert (caught.value.option, str(caught.value.value)) == (name, shown or "True")
    for given in SPARKS.split():
        with pytest.raises(OptionError, match="should be used with --engine spark-als") as caught:
            spec_by(given)
        assert caught.value.option == given.partition("=")[0]


def test_a_value_that_is_out_of_range_is_named():
    for name, values in {
        "spark_master": ["yarn", "local[x]", "spark://host", "local[2] --x", ""],
        "spark_conf": [{"executor.memory": "1g"}, {"spark.master": "local"}],
        "als_alpha": [0.0],
        "als_regularization": [math.nan],
    }.items():
        for value in values:
            with pytest.raises(OptionError) as caught:
                SparkAls(**{name: value})
            assert caught.value.option == f"--{name.replace('_', '-')}"
    with pytest.raises(OptionError, match=r"--spark-conf is 'spark\.a', but should be KEY=VALUE"):
        spec_by("--engine=spark-als", "--spark-conf=spark.a")


MASTERS = {
    **{local: [] for local in ("local", "local[*]", "local[2]", "local[2,3]")},
    "spark://a:7077": [("a", 7077)],
    "spark://a:1,b:2": [("a", 1), ("b", 2)],
    "k8s://https://a:6443": [("a", 6443)],
    "k8s://a:6443": [("a", 6443)],
    "k8s://a": [("a", 443)],
    "k8s://http://a/path": [("a", 80)],
    "k8s://https://[::1]:6443": [("::1", 6443)],
}


def test_where_a_master_is():
    for master, addresses in MASTERS.items():
        options = SparkAls(spark_master=master)
        assert (options.addresses, options.is_local) == (addresses, not addresses)


def test_a_spec_with_spark_survives_its_json_but_does_not_go_by_a_call(capsys):
    """Its settings can start programs; a service uses its own for its own retraining."""
    spec = specs.spec(spark=ALS)
    assert decode(encode(spec)) == spec
    assert "spark" not in json.loads(encode(specs.spec()))
    assert spec_of(spec_message(spec, with_secrets=True)) == specs.spec()
    flags = ["--target=127.0.0.1:1", "--interactions=a.csv", "--engine=spark-als"]
    assert main(["train", *flags]) == 2
    assert "--engine is 'spark-als', but should be used without --target" in capsys.readouterr().err
