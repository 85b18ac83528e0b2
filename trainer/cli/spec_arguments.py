"""The flags of a training run, the same for `train`, `serve` and over gRPC, and the spec they make."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.settings.parser import PathType
from lightfm_retriever.publication import layout
from trainer.cli.spark_arguments import spark_als
from trainer.data import movielens
from trainer.fitting.lightfm_model import LOSSES, Hyperparameters
from trainer.index import AUTO, NAMES
from trainer.index.tuning import TuningOptions
from trainer.preparing.splits import SPLITS
from trainer.promotion.gates import Gates
from trainer.promotion.predecessor import CANARY
from trainer.spec import DataSpec, TrainingSpec

LABEL_NOT_MOVED = 3
"""Exit status when a version is published, but a gate keeps its label where it is."""

_SHOWN = 64


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add all flags of a training run."""
    add_data(parser)
    _add_hyperparameters(parser)
    add_indexing(parser)
    add_gates(parser)
    add_publishing(parser)


def training_spec(options: argparse.Namespace) -> TrainingSpec:
    """What the flags say; raises OptionError for a value out of range."""
    given = vars(options)
    return TrainingSpec(
        data=data_spec(options),
        hyperparameters=hyperparameters(given),
        backend=options.backend,
        trees=given.get("trees"),
        target_recall=options.target_recall,
        strict_recall=options.strict_recall,
        index_threads=given.get("index_threads"),
        label=label_of(options),
        gates=gates_of(options),
        warm_start=options.warm_start,
        max_shrinkage=given.get("max_shrinkage"),
        spark=spark_als(options),
    )


def data_spec(options: argparse.Namespace) -> DataSpec:
    """What the flags say of data; raises OptionError for a value out of range."""
    given = vars(options)
    return DataSpec(**{own.name: given[own.name] for own in fields(DataSpec) if own.name in given})


def hyperparameters(given: Mapping[str, Any]) -> Hyperparameters:
    """Those that are given by name, the others by default; raises OptionError."""
    names = [own.name for own in fields(Hyperparameters)]
    return Hyperparameters(**{name: given[name] for name in names if name in given})


def has_source(options: argparse.Namespace) -> bool:
    """Whether any flag names interactions."""
    return any(name in vars(options) for name in ("dataset", "interactions", "interactions_sql")) or (
        options.event_log
    )


def label_of(options: argparse.Namespace) -> str | None:
    """The label to move; None for none."""
    if options.no_label:
        return None
    return CANARY if getattr(options, "canary", False) else str(options.label)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the flags about data."""
    source = parser.add_argument_group("data")
    source.add_argument(
        "--dataset", choices=[movielens.NAME], default=argparse.SUPPRESS, help="a dataset by name"
    )
    for name, metavar, what in (
        ("interactions", "PATH", "CSV or Parquet file of interactions, or a folder of Parquet files"),
        ("interactions-sql", "QUERY", "a query that returns interactions; with --database-url"),
        ("database-url", "URL", "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"),
        ("items", "PATH", "CSV or Parquet file of items"),
        ("users", "PATH", "CSV or Parquet file of users"),
    ):
        source.add_argument(
            f"--{name}",
            type=PathType() if metavar == "PATH" else str,
            metavar=metavar,
            default=argparse.SUPPRESS,
            help=what,
        )
    source.add_argument(
        "--event-log",
        action="store_true",
        default=False,
        help="train on what AppendInteractions collected: after another source, where an event that is "
        "in both counts once, or alone",
    )
    for kind in ("item", "user"):
        source.add_argument(
            f"--{kind}-features",
            type=_names,
            default=[],
            metavar="COLUMN,...",
            help=f"columns of the {kind}s file to use as features",
        )
    add_attributes(source, default=f"none; of {movielens.NAME} {','.join(movielens.ITEM_COLUMNS)}")
    source.add_argument(
        "--event-weights",
        type=_weights,
        default=argparse.SUPPRESS,
        metavar="EVENT=WEIGHT,...",
        help="weights by event type, such as view=1,purchase=5; =1 is for those without a type",
    )
    source.add_argument(
        "--half-life-days",
        type=float,
        default=argparse.SUPPRESS,
        metavar="DAYS",
        help="an interaction so much older than the newest counts half (default: age doesn't matter)",
    )
    source.add_argument(
        "--last-days",
        type=float,
        default=argparse.SUPPRESS,
        metavar="DAYS",
        help="use only so many days before the newest interaction (default: all)",
    )
    source.add_argument(
        "--split",
        choices=SPLITS,
        default=argparse.SUPPRESS,
        help="what to test on: each user's first ten in file order, a random share, the newest share, "
        f"each user's last k, or nothing (default: first-10 for {movielens.NAME}, else random)",
    )
    source.add_argument("--split-count", type=int, default=1, metavar="K", help="k of leave-last-k")
    source.add_argument(
        "--split-share", type=float, default=0.1, metavar="SHARE", help="share of random and time"
    )


def add_attributes(source: argparse._ActionsContainer, *, default: str = "none") -> None:
    """Add the flags about attributes of items; `default` tells which are published without them."""
    source.add_argument(
        "--item-attributes",
        type=_names,
        default=[],
        metavar="COLUMN[:text|:number],...",
        help="columns of the items file to filter by and to return with results; one of numbers, with "
        f"gaps such as N/A, is a number, any other text (default: {default})",
    )
    source.add_argument(
        "--feature-separator",
        default="|",
        help="separates the values of a multi-valued column",
    )


def _add_hyperparameters(parser: argparse.ArgumentParser) -> None:
    own = Hyperparameters()
    group = parser.add_argument_group("hyperparameters")
    group.add_argument("--loss", choices=LOSSES, default=own.loss, help="ranking loss")
    for name, of, what in (
        ("components", int, "dimensions of the embeddings"),
        ("learning-rate", float, "initial learning rate"),
        ("item-alpha", float, "L2 penalty on item features"),
        ("user-alpha", float, "L2 penalty on user features"),
        ("epochs", int, "passes over the interactions"),
        ("seed", int, "of everything random"),
        ("threads", int, "for training and evaluation; only with 1 can a model be reproduced"),
    ):
        default = getattr(own, name.replace("-", "_"))
        group.add_argument(f"--{name}", type=of, default=default, help=what)
    group.add_argument(
        "--sample-weights",
        action="store_true",
        default=False,
        help="multiply each positive's loss by its weight",
    )
    group.add_argument(
        "--warm-start",
        action="store_true",
        default=False,
        help="go on from the model that the label names now, with users and items added",
    )


def add_indexing(parser: argparse.ArgumentParser) -> None:
    """Add the flags about indexes."""
    index = parser.add_argument_group("index")
    index.add_argument(
        "--backend",
        default="annoy",
        metavar="NAME,...",
        help=f"kind of index, of {', '.join(NAMES)}; of several the fastest that reaches the target; "
        f"{AUTO}: of all that workers can share",
    )
    index.add_argument(
        "--strict-recall",
        action="store_true",
        default=False,
        help="publish nothing when no backend that was asked for reaches the target, instead of using "
        "exact search or another one",
    )
    index.add_argument(
        "--trees",
        type=int,
        default=argparse.SUPPRESS,
        help="trees of an Annoy index (default: as few as reach the target)",
    )
    add_tuning(index)


def add_tuning(index: argparse._ActionsContainer) -> None:
    """Add the flags about recall."""
    index.add_argument(
        "--target-recall",
        type=float,
        default=TuningOptions.target_recall,
        metavar="SHARE",
        help="share of the true ten nearest that a query should find; settings are tuned for it",
    )
    index.add_argument(
        "--index-threads",
        type=int,
        default=argparse.SUPPRESS,
        help="for building indexes; with 1 they can be reproduced byte by byte (default: all cores)",
    )


def add_gates(parser: argparse.ArgumentParser) -> None:
    """Add the flags about what has to hold before a label is moved."""
    group = parser.add_argument_group(
        "gates",
        "A version that fails one is published, but its label isn't moved, and the exit status is "
        f"{LABEL_NOT_MOVED}. These hold without being asked for: users were evaluated (one in a "
        "hundred, or twenty); their AUC isn't below 0.45; recall@10 of both indexes is at least 0.8, "
        "or the target if that is lower; precision@10 of the users that the label's version knows "
        "too isn't certainly less than half; the label names what it named when the training began.",
    )
    for name, what in (
        ("min-precision-at-10", "least precision@10 on the test, seen items excluded"),
        ("min-auc", "least AUC on the test, seen items excluded (default: 0.45, of 100 users or more)"),
        ("min-recall", "least recall@10 of both indexes (default: 0.8 or the target, if lower)"),
        ("min-coverage", "least share of items among somebody's top ten"),
        (
            "max-relative-loss",
            "how much lower precision@10 may be than that of the label's version, as a share of it",
        ),
    ):
        _add_share(group, name, what)
    group.add_argument(
        "--allow-unevaluated",
        action="store_true",
        default=False,
        help="move the label though hardly anybody was evaluated",
    )
    group = parser.add_argument_group(
        "continuity",
        "An input that keeps too little of the version that the label names (for --canary, and for a "
        "label that names nothing yet, 'current') publishes nothing: users, items, interactions, what "
        "users had seen, kinds of attributes, titles, names of features.",
    )
    for name, what in (
        ("min-users-kept", "least share of that version's users that are kept by id (default: 0.5)"),
        ("min-items-kept", "the same of its items (default: 0.5)"),
        (
            "min-pairs-kept",
            "least share of what users had seen that they still have (default: 0.2; 0 by --last-days)",
        ),
        (
            "max-shrinkage",
            "largest share of its interactions, and of their weight, that may be lost (default: 0.5)",
        ),
    ):
        _add_share(group, name, what)
    group.add_argument(
        "--allow-different-data",
        action="store_true",
        default=False,
        help="publish and move the label whatever is kept",
    )


def _add_share(group: argparse._ArgumentGroup, name: str, what: str) -> None:
    group.add_argument(f"--{name}", type=float, default=argparse.SUPPRESS, metavar="SHARE", help=what)


def gates_of(options: argparse.Namespace) -> Gates:
    """What the flags ask for; raises OptionError for a value out of range."""
    given = vars(options)
    return Gates(**{own.name: given[own.name] for own in fields(Gates) if own.name in given})


def add_publishing(parser: argparse.ArgumentParser) -> None:
    """Add the flags about labels and output."""
    output = parser.add_argument_group("publishing")
    target = output.add_mutually_exclusive_group()
    target.add_argument("--label", type=label, default=layout.DEFAULT_LABEL, help="label to move")
    target.add_argument(
        "--canary",
        action="store_true",
        default=False,
        help=f"move label {CANARY!r}; promote later, with 'promote'",
    )
    target.add_argument(
        "--no-label", action="store_true", default=False, help="publish without moving a label"
    )


def label(text: str) -> str:
    """A label's name, for argparse."""
    if not layout.is_label_name(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} should be 1 to 64 of a-z, 0-9, - and _, starting with a letter"
        )
    return text


def whole(low: int, high: int) -> Callable[[str], int]:
    """Make a type of a flag that takes a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"{words.brief(text)} isn't a whole number from {low} to {high}"
            )
        return value

    return parse


def version(text: str) -> str:
    """A version's name, for argparse; a service refuses others, too."""
    if not layout.is_version_name(text):
        raise argparse.ArgumentTypeError(
            f"{text[:_SHOWN]!r} isn't a version's name, such as 20261124T043500Z-3fa9c1"
        )
    return text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _weights(text: str) -> dict[str, float]:
    weights = {}
    for part in _names(text):
        name, equals, weight = part.rpartition("=")
        try:
            weights[name.strip()] = float(weight)
        except ValueError:
            equals = ""
        if not equals:
            raise argparse.ArgumentTypeError(f"{part!r} should be EVENT=WEIGHT, such as view=1")
    return weights
