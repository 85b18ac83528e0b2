"""The flags of a training run, the same for `train`, `serve` and over gRPC, and the spec they make."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.options import Option, declared
from lightfm_retriever.hosting.settings import layers, option_flags
from lightfm_retriever.hosting.settings.option_flags import made
from lightfm_retriever.publication import layout
from trainer import models
from trainer.data.files.file_form import FileForm
from trainer.errors import OptionError
from trainer.index import make_backends
from trainer.models.given import GivenHyperparameters
from trainer.promotion.gates import Gates
from trainer.promotion.predecessor import CANARY
from trainer.spark.options import ENGINE, LIGHTFM, SparkAls
from trainer.spec import DataSpec, TrainingSpec
from trainer.tracking.options import TrackingOptions

_VERSION = "20261124T043500Z-3fa9c1"
LABEL_NOT_MOVED = 3
"""Exit status if a version is published, but a gate keeps its label from moving."""

SETTINGS = (
    "The command line overrides variables, such as TRAINER_EPOCHS, and they override the TOML file of "
    "--config."
)
"""A sentence of help, for commands with options from variables and a file."""


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add all flags of a training run."""
    add_data(parser)
    group = parser.add_argument_group("hyperparameters")
    option_flags.add(group, GivenHyperparameters, switches_last=True)
    option_flags.add(group, TrainingSpec, group="hyperparameters", switches_last=True)
    add_publishing(parser)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the data, and of the form of its files."""
    option_flags.add(parser.add_argument_group("data"), DataSpec)
    add_form(parser)


def add_form(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the form of files."""
    group = parser.add_argument_group(
        "files",
        "'inspect FILE' finds most of these, and prints the command to train.",
    )
    option_flags.add(group, FileForm)


def training_spec(options: argparse.Namespace) -> TrainingSpec:
    """Make the spec of the flags. Raises OptionError for a value out of range."""
    return made(TrainingSpec, vars(options), label=label_of(options), spark=spark_als(options))


def checked_spec(options: argparse.Namespace) -> TrainingSpec:
    """Make the spec as `training_spec` does, but use the event log if no flag names interactions."""
    data = made(DataSpec, vars(options) | ({} if has_source(options) else {"event_log": True}))
    spec = made(
        TrainingSpec, vars(options), data=data, label=label_of(options), spark=spark_als(options)
    )
    # Check the backends and the model now. A run would be too late.
    make_backends(spec.backend, trees=spec.trees)
    models.check_installed(spec.family)
    return spec


def spark_als(options: argparse.Namespace) -> SparkAls | None:
    """Make the options of Spark; None for LightFM. Raises OptionError."""
    given = {own.name: vars(options)[own.name] for own in fields(SparkAls) if own.name in options}
    if getattr(options, "engine", LIGHTFM) != ENGINE:
        for name, value in given.items():
            shown = ",".join(value) if isinstance(value, list) else value
            raise OptionError(f"--{name.replace('_', '-')}", shown, f"used with --engine {ENGINE}")
        return None
    if "spark_conf" in given:
        given["spark_conf"] = dict(_setting(text) for text in given["spark_conf"])
    return SparkAls(**given)


def has_source(options: argparse.Namespace) -> bool:
    """Whether any flag names interactions."""
    histories = ("dataset", "interactions", "interactions_sql")
    return options.event_log or any(name in options for name in histories)


def label_of(options: argparse.Namespace) -> str | None:
    """Return the label to move; None for no label."""
    if options.no_label:
        return None
    return CANARY if getattr(options, "canary", False) else str(options.label)


def add_publishing(parser: argparse.ArgumentParser) -> None:
    """Add the flags about indexes, gates and labels."""
    option_flags.add(parser.add_argument_group("index"), TrainingSpec, group="index")
    group = parser.add_argument_group(
        "gates",
        "A version that fails a gate is published, but its label isn't moved, and the exit status is "
        f"{LABEL_NOT_MOVED}. Some gates apply without an option. Twenty users, or one user in a "
        "hundred, were evaluated. AUC is at least 0.45. Recall@10 of both indexes is at least 0.8, or "
        "the target if that is lower. For users that the label's version also knows, precision@10 "
        "isn't certainly less than half of that version's. The label still names the version that it "
        "named when the training began.",
    )
    option_flags.add(group, Gates, group="gates")
    group = parser.add_argument_group(
        "continuity",
        "Nothing is published if the input keeps too little of the label's version. With --canary, and "
        "for a label that names no version yet, the input is compared with the version of 'current'. "
        "The comparison covers users, items, interactions, seen items, kinds of attributes, titles and "
        "names of features.",
    )
    option_flags.add(group, Gates, TrainingSpec, group="continuity", switches_last=True)
    output = parser.add_argument_group("publishing")
    target = output.add_mutually_exclusive_group()
    target.add_argument(
        "--label", type=label, default=layout.DEFAULT_LABEL, metavar="LABEL", help="the label to move"
    )
    target.add_argument(
        "--canary",
        action="store_true",
        default=False,
        help=f"move the label {CANARY!r} instead; 'promote canary' moves 'current' later",
    )
    target.add_argument(
        "--no-label", action="store_true", default=False, help="publish, but move no label"
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the flags about the engine. A request to a service can't have them."""
    group = parser.add_argument_group(
        "engine",
        f"With {ENGINE}, --components is the rank, and --epochs the number of iterations. All nodes of "
        "the cluster must see a volume in a folder under the same path.",
    )
    group.add_argument(
        "--engine", choices=(LIGHTFM, ENGINE), default=LIGHTFM, help="the library that fits the model"
    )
    option_flags.add(group, SparkAls, only_given=True)


def add_tracking(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add the flags about MLflow; returns them."""
    group = parser.add_argument_group(
        "tracking",
        "A run that fails or is cancelled is sent, too. A server that is away costs a run at most "
        "--mlflow-timeout, and a warning. Set a password by TRAINER_MLFLOW_URI or "
        "MLFLOW_TRACKING_PASSWORD, not on the command line, which all users of the machine can see.",
    )
    option_flags.add(group, TrackingOptions)
    flags = {own.flag for own in declared(TrackingOptions).values()}
    return [own for own in layers.actions(parser) if own.option_strings[-1] in flags]


def label(text: str) -> str:
    """Read the name of a label, for argparse."""
    if not layout.is_label_name(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} should be 1 to 64 of a-z, 0-9, - and _, starting with a letter"
        )
    return text


def whole(option: Option, default: int) -> dict[str, Any]:
    """Return the arguments of add_argument for a flag with an option's whole numbers."""
    low, high = option.ge, option.le

    def parse(text: str) -> int:
        try:
            if option.problem(value := int(text)) is None:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(
            f"{words.brief(text)} isn't a whole number from {low} to {high}"
        )

    told = f"{option.help}, {low} to {high}"
    return {"type": parse, "default": default, "help": told}


def version(text: str) -> str:
    """Read a version's name or a label, for argparse. `versions_commands.named` looks up a label."""
    if not layout.is_version_name(text) and not layout.is_label_name(text):
        raise argparse.ArgumentTypeError(
            f"{text[:64]!r} isn't a version's name, such as {_VERSION}, or a label, such as "
            f"{layout.DEFAULT_LABEL}"
        )
    return text


def version_name(text: str) -> str:
    """Read a version's name, for argparse. A service refuses other names too."""
    if not layout.is_version_name(text):
        raise argparse.ArgumentTypeError(f"{text[:64]!r} isn't a version's name, such as {_VERSION}")
    return text


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionError("--spark-conf", text, "KEY=VALUE, such as spark.executor.memory=4g")
    return name.strip(), value
