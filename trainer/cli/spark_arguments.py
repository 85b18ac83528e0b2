"""The flags that choose an engine, and what they say of Spark."""

from __future__ import annotations

import argparse
from dataclasses import fields

from lightfm_retriever.hosting.settings import option_flags
from trainer.errors import OptionError
from trainer.spark.options import ENGINE, LIGHTFM, SparkAls


def spark_als(options: argparse.Namespace) -> SparkAls | None:
    """What the flags say of Spark, None for LightFM; raises OptionError."""
    given = {own.name: vars(options)[own.name] for own in fields(SparkAls) if own.name in options}
    if getattr(options, "engine", LIGHTFM) != ENGINE:
        for name, value in given.items():
            shown = ",".join(value) if isinstance(value, list) else value
            raise OptionError(f"--{name.replace('_', '-')}", shown, f"used with --engine {ENGINE}")
        return None
    if "spark_conf" in given:
        given["spark_conf"] = dict(_setting(text) for text in given["spark_conf"])
    return SparkAls(**given)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionError("--spark-conf", text, "KEY=VALUE, such as spark.executor.memory=4g")
    return name.strip(), value


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the flags about what fits the model, and where; a service takes them of its own only."""
    group = parser.add_argument_group(
        "engine",
        f"With {ENGINE} --components is the rank, --epochs the number of iterations; a volume in a "
        "folder has to be seen by all nodes of the cluster under the same path.",
    )
    group.add_argument(
        "--engine", choices=(LIGHTFM, ENGINE), default=LIGHTFM, help="what fits the model"
    )
    option_flags.add(group, SparkAls, only_given=True)
