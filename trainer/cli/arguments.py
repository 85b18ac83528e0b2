"""The command line: its commands and flags. Commands of versions, runs and events are elsewhere."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.options import declared
from lightfm_retriever.hosting.settings import completion, layers, option_flags
from lightfm_retriever.hosting.settings.parser import Parser, Program
from lightfm_retriever.hosting.settings.values import is_utf8
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from trainer.cli import (
    inspect_command,
    published_arguments,
    removal_command,
    serve_arguments,
    spec_arguments,
    where_arguments,
)
from trainer.cli.published_arguments import add_json
from trainer.data import movielens
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.index import NAMES
from trainer.index.tuning import TuningOptions
from trainer.spec import DataSpec, TrainingSpec
from trainer.study.options import SearchSpace, StudyOptions

PREFIX = where_arguments.PREFIX
PROGRAM = "lightfm-trainer"

_TRAIN = f"""
Files are CSV (comma; tab for .tsv), JSON Lines or Parquet. Interactions have the columns user_id and
item_id, and may have weight (a number from -1e9 to 1e9; 0 and below are no positives), timestamp
(seconds since 1970 or ISO 8601; at most a day ahead of the clock) and event (a type such as view).
Items have the column item_id, and may have title and feature columns. Users have user_id, and may
have feature columns. Usual other names of columns, such as userId or rating, are recognised, and a
note says so. Ids are integers, or text of at most {MAX_ID_BYTES} bytes of UTF-8, compared byte by
byte.
"""


def program() -> Program:
    """Make the parser of all commands."""
    made = Program(PROGRAM, "Train recommendation models, publish them, and manage published versions.")
    for add in (
        _add_train,
        _add_models,
        inspect_command.add,
        _add_publish,
        _add_tune,
        _add_report,
        _add_fetch,
    ):
        add(made)
    published_arguments.add_versions(made)
    serve_arguments.add(made)
    published_arguments.add_health(made)
    published_arguments.add_runs(made)
    published_arguments.add_events(made)
    completion.add(made)
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line, with settings from variables and the file of --config.

    Raises UsageError for a mistake, and HostingError for settings that can't be used.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    parser = program()
    if (command := parser.commands.get("".join(given[:1]))) is not None:
        known = [action.dest for action in layers.actions(parser.commands["serve"])]
        layers.apply(command, given[1:], os.environ, prefix=PREFIX, known=known)
    options = parser.parse_args(given)
    if command is None:
        return options
    _find_service(command, options)
    if {"volume", "target"} <= command.names.keys():
        where_arguments.check(command, given[1:], options)
    found = vars(options)
    found["names"] = command.names
    for name in _in_utf8(options):
        if name in found and not is_utf8(str(found[name])):
            flag = f"--{name.replace('_', '-')}"
            command.error(f"{flag} is {str(found[name])!r}, which isn't valid UTF-8")
    return options


def _find_service(command: Parser, options: argparse.Namespace) -> None:
    """Choose the service of TRAINER_LISTEN if no volume is given."""
    found = vars(options)
    by_state = "state" in found and options.command == removal_command.NAME
    alone = ("fetch-dataset", "models", "tune", inspect_command.NAME, completion.NAME)
    if "target" in found or "volume" in found or by_state or options.command in alone:
        return
    name = f"{PREFIX}LISTEN"
    if not (address := os.environ.get(name)):
        command.error("give --volume, or --target for a service")
    try:
        found["target"] = client_flags.target(address)
    except argparse.ArgumentTypeError as error:
        command.error(f"{name}: {error}")


def _in_utf8(options: argparse.Namespace) -> list[str]:
    """List the flags with paths that must be UTF-8 for this command; other paths may have any bytes."""
    names = []
    if options.command in ("train", "publish", "serve"):
        # The libraries that write indexes take no other path.
        names += ["volume", "cache_dir"]
    if options.command == "serve" or "target" in options:
        # These paths are kept with the run.
        names += ["interactions", "items", "users"]
    return names


def _add_train(made: Program) -> None:
    train = made.command(
        "Train",
        "train",
        "Train a model and publish it.",
        more=f"--help-all describes the columns of its files. {spec_arguments.SETTINGS}",
        epilog=" ".join(_TRAIN.split()),
    )
    where_arguments.add_where(train)
    layers.add_config_flag(train)
    where_arguments.add_data_dir(train)
    where_arguments.add_state(train)
    spec_arguments.add_training(train)
    spec_arguments.add_engine(train)
    where_arguments.used_with("--volume", *spec_arguments.add_tracking(train))
    service = train.add_argument_group("by a service")
    service.add_argument(
        "--request-id",
        default="",
        metavar="ID",
        help="id of the request; repeating it with the same options returns the same run",
    )
    service.add_argument(
        "--detach", action="store_true", default=False, help="return without waiting for the run's end"
    )
    add_json(train)
    train.everyday = (
        *("--volume", "--target", "--dataset", "--interactions", "--items", "--users"),
        *("--item-features", "--user-features", "--model", "--set", "--backend"),
        *("--label", "--canary", "--config", "--json"),
    )


def _add_models(made: Program) -> None:
    listed = made.command(
        "Train",
        "models",
        "List the families of models, and their settings.",
        more="It lists the families of this installation. A service may have other extras.",
    )
    add_json(listed)


def _add_publish(made: Program) -> None:
    publish = made.command(
        "Train",
        "publish",
        "Publish the vectors of any other model.",
        more="They are checked, indexed and evaluated as LightFM's are. " + spec_arguments.SETTINGS,
        epilog="Vectors are .npy arrays of any floating type, with a row for each id. Ids are text "
        "files in UTF-8, with an id on each line. An item's score for a user is the inner product of "
        "their vectors, plus both biases.",
    )
    where_arguments.add_volume(publish)
    layers.add_config_flag(publish)
    source = publish.add_argument_group("vectors")
    for name, required, what in (
        ("item-vectors", True, "vectors of the items: .npy, (items, d)"),
        ("item-ids", True, "ids of the items: text, an id on each line"),
        ("item-biases", False, "biases of the items: .npy, (items,)"),
        ("user-vectors", False, "vectors of the users: .npy, (users, d)"),
        ("user-ids", False, "ids of the users: text, an id on each line"),
        ("user-biases", False, "biases of the users: .npy, (users,)"),
        ("seen", False, "interactions (CSV or Parquet) whose items aren't recommended again"),
        ("held-out", False, "interactions (CSV or Parquet) to evaluate on"),
        ("items", False, "CSV or Parquet file with item_id, title and attributes"),
    ):
        source.add_argument(
            f"--{name}",
            type=Path,
            required=required,
            default=argparse.SUPPRESS,
            metavar="FILE",
            help=what,
        )
    data, tuning = declared(DataSpec), declared(TuningOptions)
    attributes = data["item_attributes"].option.help.partition(" (default: ")[0]
    option_flags.add_one(source, data["item_attributes"], help=f"{attributes} (default: none)")
    option_flags.add_one(source, data["feature_separator"])
    option_flags.add_one(publish, tuning["seed"])
    spec_arguments.add_publishing(publish)
    spec_arguments.add_tracking(publish)
    add_json(publish)
    publish.everyday = (
        *("--volume", "--item-vectors", "--item-ids", "--item-biases", "--user-vectors", "--user-ids"),
        *("--user-biases", "--seen", "--held-out", "--items", "--backend"),
        *("--label", "--canary", "--no-label", "--json"),
    )


def _add_report(made: Program) -> None:
    report = made.command(
        "Train",
        "report",
        "Compare all kinds of index on a version.",
        more="Measures recall, time, precision, build time, size and memory, on the version and on "
        "larger catalogues made of its vectors. Writes an HTML page, its pictures, and its figures as "
        "JSON. With a million items it takes about half an hour.",
    )
    report.add_argument(
        "version",
        nargs="?",
        type=spec_arguments.version,
        help="the version's name, or a label (default: the label current)",
    )
    where_arguments.add_volume(report)
    report.add_argument(
        "--output", type=Path, default=Path("report"), metavar="DIR", help="the folder to write to"
    )
    report.add_argument(
        "--max-items",
        type=int,
        default=1_000_000,
        help="items of the largest generated catalogue",
    )
    tuning = declared(TuningOptions)
    option_flags.add_one(report, tuning["seed"])
    report.add_argument(
        "--backend",
        default=argparse.SUPPRESS,
        metavar="NAME,...",
        help=f"kinds of index to compare, of {', '.join(NAMES)} (default: all that are installed)",
    )
    option_flags.add_one(report, tuning["target_recall"])
    option_flags.add_one(report, declared(TrainingSpec)["index_threads"])
    add_json(report)
    report.everyday = ("--volume", "--output", "--max-items", "--backend", "--json")


def _add_tune(made: Program) -> None:
    tune = made.command(
        "Train",
        "tune",
        "Search for better hyperparameters.",
        more="Compares them on a validation split of the training data, and uses the test interactions "
        "once, at the end. Writes study.json and study.png. Variables set --data-dir, --state and "
        "the flags about MLflow only.",
    )
    where_arguments.add_data_dir(tune)
    where_arguments.add_state(tune, "for --event-log: the folder of the trainer's state")
    spec_arguments.add_data(tune)
    search = tune.add_argument_group("search")
    option_flags.add(search, StudyOptions, SearchSpace)
    start = declared(Hyperparameters)
    option_flags.add_one(search, start["seed"])
    option_flags.add_one(
        search, start["threads"], help="threads of each training; only 1 makes a search reproducible"
    )
    option_flags.add_one(search, start["sample_weights"])
    for action in spec_arguments.add_tracking(tune):
        layers.settable(action)
    tune.add_argument(
        "--output", type=Path, default=Path("study"), metavar="DIR", help="the folder to write to"
    )
    add_json(tune)
    tune.everyday = (
        *("--dataset", "--interactions", "--items", "--users", "--item-features", "--user-features"),
        *("--trials", "--timeout-seconds", "--components", "--losses", "--output", "--json"),
    )


def _add_fetch(made: Program) -> None:
    fetch = made.command("Train", "fetch-dataset", "Download a dataset, and check it by its hash.")
    fetch.add_argument(
        "dataset", choices=[movielens.NAME], metavar="DATASET", help=f"its name: {movielens.NAME}"
    )
    where_arguments.add_data_dir(fetch)
