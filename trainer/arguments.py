"""The command line's flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from publication import layout
from publication.id_map import MAX_ID_BYTES
from trainer import config, movielens
from trainer.dataset import SPLITS
from trainer.index import AUTO, NAMES
from trainer.index.tuning import TuningOptions
from trainer.model import LOSSES, Hyperparameters

_TRAIN = f"""
Files are CSV (comma; tab for .tsv) or Parquet. Interactions have the columns user_id, item_id and
optionally weight (a finite number; 0 and below are no positives) and timestamp (not used yet). Items
have item_id, optionally title, and any feature columns; users likewise. Ids are text of any script,
at most {MAX_ID_BYTES} bytes of UTF-8, compared byte by byte, or integers.
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exits with status 2 and a message on a mistake."""
    defaults = config.from_environment(os.environ)
    parser = argparse.ArgumentParser(
        prog="python -m trainer",
        description="Train LightFM, publish embeddings and nearest-neighbour indexes, and look after "
        "what is published.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands, defaults)
    _add_publish(commands, defaults)
    _add_report(commands, defaults)
    _add_versions(commands, defaults)
    _add_label_moves(commands, defaults)
    _add_verify(commands, defaults)
    _add_serve(commands, defaults)
    _add_fetch(commands, defaults)
    return parser.parse_args(argv)


def _add_train(commands: Any, defaults: config.Config) -> None:
    train = commands.add_parser(
        "train",
        help="train a model and publish it",
        description="Train a model and publish it." + _TRAIN,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_volume(train, defaults)
    source = train.add_argument_group("data")
    source.add_argument(
        "--dataset", choices=[movielens.NAME], default=argparse.SUPPRESS, help="a dataset by name"
    )
    source.add_argument("--data-dir", type=Path, default=defaults.data_dir, help="where datasets are")
    for name, what in (
        ("interactions", "CSV or Parquet file of interactions"),
        ("items", "CSV or Parquet file of items"),
        ("users", "CSV or Parquet file of users"),
    ):
        source.add_argument(f"--{name}", type=Path, default=argparse.SUPPRESS, help=what)
    for kind in ("item", "user"):
        source.add_argument(
            f"--{kind}-features",
            type=_names,
            default=[],
            metavar="COLUMN,...",
            help=f"columns of the {kind}s file to use as features",
        )
    source.add_argument(
        "--feature-separator",
        default="|",
        help="separates the values of a multi-valued feature column",
    )
    source.add_argument(
        "--split",
        choices=SPLITS,
        default=argparse.SUPPRESS,
        help="test on each user's first ten interactions in file order, on a random tenth, or not at "
        f"all (default: first-10 for {movielens.NAME}, random for files)",
    )
    _add_hyperparameters(train)
    _add_indexing(train)
    _add_publishing(train)


def _add_indexing(parser: argparse.ArgumentParser) -> None:
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
        help="publish nothing when no setting reaches the target",
    )
    index.add_argument(
        "--trees",
        type=int,
        default=argparse.SUPPRESS,
        help="trees of an Annoy index (default: as few as reach the target)",
    )
    _add_tuning(index)


def _add_tuning(index: argparse._ActionsContainer) -> None:
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
        default=TuningOptions().threads,
        help="for building indexes; only with 1 can they be reproduced byte by byte",
    )


def _add_publishing(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("publishing")
    target = output.add_mutually_exclusive_group()
    target.add_argument("--label", type=_label, default=layout.DEFAULT_LABEL, help="label to move")
    target.add_argument(
        "--no-label", action="store_true", default=False, help="publish without moving a label"
    )
    _add_json(output)


_PUBLISH = """
Vectors are .npy arrays of a row for each id, of any floating type; ids are text files of UTF-8 with an
id a line. An item's score for a user is their inner product plus both biases.
"""


def _add_publish(commands: Any, defaults: config.Config) -> None:
    publish = commands.add_parser(
        "publish",
        help="publish vectors of any model",
        description="Publish vectors of any model, checked, tuned and reported like LightFM's."
        + _PUBLISH,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_volume(publish, defaults)
    source = publish.add_argument_group("vectors")
    for name, required, what in (
        ("item-vectors", True, ".npy, (items, d)"),
        ("item-ids", True, "text, an id a line"),
        ("item-biases", False, ".npy, (items,)"),
        ("user-vectors", False, ".npy, (users, d)"),
        ("user-ids", False, "text, an id a line"),
        ("user-biases", False, ".npy, (users,)"),
        ("seen", False, "interactions (CSV or Parquet) whose items aren't recommended again"),
        ("held-out", False, "interactions to evaluate on"),
        ("items", False, "CSV or Parquet with item_id and title"),
    ):
        source.add_argument(
            f"--{name}",
            type=Path,
            required=required,
            default=argparse.SUPPRESS,
            metavar="FILE",
            help=what,
        )
    publish.add_argument("--seed", type=int, default=Hyperparameters.seed, help="of everything random")
    _add_indexing(publish)
    _add_publishing(publish)


def _add_report(commands: Any, defaults: config.Config) -> None:
    report = commands.add_parser(
        "report",
        help="compare all kinds of index on a version: a page with pictures",
        description="Compare all kinds of index on a published version and on catalogues made of its "
        "vectors: recall, time, precision, build time, size, memory. Writes an HTML page, its pictures "
        "and its figures as JSON. With a million items it takes about half an hour.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    report.add_argument(
        "version", nargs="?", help="the version's name (default: what the label 'current' names)"
    )
    _add_volume(report, defaults)
    report.add_argument("--output", type=Path, default=Path("report"), help="folder to write to")
    report.add_argument(
        "--max-items", type=int, default=1_000_000, help="size of the largest made-up catalogue"
    )
    report.add_argument("--seed", type=int, default=Hyperparameters.seed, help="of everything random")
    report.add_argument(
        "--backend",
        default=argparse.SUPPRESS,
        metavar="NAME,...",
        help=f"kinds of index to compare, of {', '.join(NAMES)} (default: all that are installed)",
    )
    _add_tuning(report)
    _add_json(report)


def _add_hyperparameters(train: argparse.ArgumentParser) -> None:
    own = Hyperparameters()
    group = train.add_argument_group("hyperparameters")
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


def _add_versions(commands: Any, defaults: config.Config) -> None:
    versions = commands.add_parser("versions", help="list what is published, with metrics and labels")
    _add_volume(versions, defaults)
    _add_json(versions)


def _add_label_moves(commands: Any, defaults: config.Config) -> None:
    promote = commands.add_parser("promote", help="make a label name a version, after verifying it")
    promote.add_argument("version", help="the version's name")
    rollback = commands.add_parser(
        "rollback", help="make a label name what it named before, after verifying it"
    )
    for parser in (promote, rollback):
        _add_volume(parser, defaults)
        parser.add_argument(
            "--label", type=_label, default=layout.DEFAULT_LABEL, help="default: %(default)s"
        )
        _add_json(parser)


def _add_verify(commands: Any, defaults: config.Config) -> None:
    verify = commands.add_parser("verify", help="check every byte of versions")
    verify.add_argument("versions", nargs="*", metavar="VERSION", help="default: all of them")
    _add_volume(verify, defaults)
    _add_json(verify)


def _add_serve(commands: Any, defaults: config.Config) -> None:
    serve = commands.add_parser("serve", help="list versions and move labels over gRPC")
    _add_volume(serve, defaults)
    serve.add_argument(
        "--listen", default=defaults.listen, metavar="HOST:PORT", help="default: %(default)s"
    )


def _add_fetch(commands: Any, defaults: config.Config) -> None:
    fetch = commands.add_parser("fetch-dataset", help="download a dataset once, checked by its hash")
    fetch.add_argument("dataset", choices=[movielens.NAME])
    fetch.add_argument("--data-dir", type=Path, default=defaults.data_dir, help="default: %(default)s")


def _add_volume(parser: argparse.ArgumentParser, defaults: config.Config) -> None:
    parser.add_argument(
        "--volume",
        type=Path,
        default=argparse.SUPPRESS if defaults.volume is None else defaults.volume,
        required=defaults.volume is None,
        help="the shared volume, a folder (or set TRAINER_VOLUME)",
    )


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _label(text: str) -> str:
    if not layout.is_label_name(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} should be 1 to 64 of a-z, 0-9, - and _, starting with a letter"
        )
    return text
