"""The command line's flags."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.options import declared
from lightfm_retriever.hosting.settings import layers, option_flags
from lightfm_retriever.hosting.settings.parser import Defaults, Parser, add_version, is_utf8
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from trainer.cli import removal_command, serve_arguments, spec_arguments, where_arguments
from trainer.data import movielens
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.index import NAMES
from trainer.index.tuning import TuningOptions
from trainer.runs.run import PAGE_SIZE, STATES
from trainer.spec import DataSpec, TrainingSpec
from trainer.study.options import SearchSpace, StudyOptions
from trainer.versions.diff import DEFAULT_USERS, USERS

PREFIX = "TRAINER_"

_TRAIN = f"""
Files are CSV (comma; tab for .tsv) or Parquet. Interactions have the columns user_id, item_id and
optionally weight (a number from -1e9 to 1e9; 0 and below are no positives), timestamp (seconds since
1970, or ISO 8601; at most a day ahead of the clock) and event (a type such as view). Items have
item_id, optionally title, and any feature columns; users likewise. Ids are text of any script, at most
{MAX_ID_BYTES} bytes of UTF-8, compared byte by byte, or integers.
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exits with status 2 and a message on a mistake."""
    given = list(sys.argv[1:] if argv is None else argv)
    defaults = layers.variables(os.environ, PREFIX)
    parser = Parser(
        prog="python -m trainer",
        description="Train LightFM, publish embeddings and nearest-neighbour indexes, and look after "
        "what is published.",
    )
    add_version(parser, "lightfm-trainer")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_train, _add_publish, _add_report, _add_tune, _add_versions, _add_runs):
        add(commands, defaults)
    for add in (_add_remove_events, _add_health, _add_verify):
        add(commands, defaults)
    serve = serve_arguments.add(commands)
    if given[:1] == ["serve"]:
        layers.apply(serve, given, os.environ, prefix=PREFIX)
    _add_fetch(commands, defaults)
    options = parser.parse_args(given)
    found = vars(options)
    if (
        "target" not in found
        and "volume" not in found
        and not ("state" in found and options.command == removal_command.NAME)
        and options.command not in ("fetch-dataset", "tune")
    ):
        if "listen" not in defaults:
            parser.error(f"{options.command}: give --volume, or --target for a service")
        try:
            found["target"] = client_flags.target(defaults["listen"])
        except argparse.ArgumentTypeError as error:
            parser.error(f"{PREFIX}LISTEN: {error}")
    for name in _in_utf8(options):
        if name in found and not is_utf8(str(found[name])):
            flag = f"--{name.replace('_', '-')}"
            parser.error(f"argument {flag}: {str(found[name])!r} isn't valid UTF-8")
    return options


def _in_utf8(options: argparse.Namespace) -> list[str]:
    """The flags with paths of any bytes otherwise, of which this command takes UTF-8 only."""
    names = []
    if options.command in ("train", "publish", "serve"):
        # What writes indexes takes no other path.
        names += ["volume", "cache_dir"]
    if options.command == "serve" or "target" in options:
        # They are kept with the run.
        names += ["interactions", "items", "users"]
    return names


def _add_train(commands: Any, defaults: dict[str, str]) -> None:
    train = commands.add_parser(
        "train",
        help="train a model and publish it",
        description="Train a model and publish it, here or (with --target) by a service." + _TRAIN,
        formatter_class=Defaults,
    )
    where_arguments.add_where(train, defaults)
    where_arguments.add_data_dir(train, defaults)
    where_arguments.add_state(train, defaults)
    spec_arguments.add_training(train)
    spec_arguments.add_engine(train)
    service = train.add_argument_group("by a service")
    service.add_argument(
        "--request-id", default="", help="the same id and spec again is the same run, not another"
    )
    service.add_argument(
        "--detach", action="store_true", default=False, help="don't wait for the run's end"
    )
    _add_json(train)


_PUBLISH = """
Vectors are .npy arrays of a row for each id, of any floating type; ids are text files of UTF-8 with an
id a line. An item's score for a user is their inner product plus both biases.
"""


def _add_publish(commands: Any, defaults: dict[str, str]) -> None:
    publish = commands.add_parser(
        "publish",
        help="publish vectors of any model",
        description="Publish vectors of any model, checked, tuned and reported like LightFM's."
        + _PUBLISH,
        formatter_class=Defaults,
    )
    where_arguments.add_volume(publish, defaults)
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
        ("items", False, "CSV or Parquet with item_id, title and attributes"),
    ):
        told = {"default": argparse.SUPPRESS, "metavar": "FILE", "help": what}
        source.add_argument(f"--{name}", type=Path, required=required, **told)
    data, tuning = declared(DataSpec), declared(TuningOptions)
    attributes = data["item_attributes"].option.help.partition(" (default: ")[0]
    option_flags.add_one(source, data["item_attributes"], help=f"{attributes} (default: none)")
    option_flags.add_one(source, data["feature_separator"])
    option_flags.add_one(publish, tuning["seed"])
    spec_arguments.add_publishing(publish)
    _add_json(publish)


def _add_report(commands: Any, defaults: dict[str, str]) -> None:
    report = commands.add_parser(
        "report",
        help="compare all kinds of index on a version: a page with pictures",
        description="Compare all kinds of index on a published version and on catalogues made of its "
        "vectors: recall, time, precision, build time, size, memory. Writes an HTML page, its pictures "
        "and its figures as JSON. With a million items it takes about half an hour.",
        formatter_class=Defaults,
    )
    report.add_argument(
        "version",
        nargs="?",
        type=spec_arguments.version,
        help="the version's name (default: what the label 'current' names)",
    )
    where_arguments.add_volume(report, defaults)
    report.add_argument("--output", type=Path, default=Path("report"), help="folder to write to")
    report.add_argument(
        "--max-items", type=int, default=1_000_000, help="size of the largest made-up catalogue"
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
    _add_json(report)


def _add_tune(commands: Any, defaults: dict[str, str]) -> None:
    tune = commands.add_parser(
        "tune",
        help="search for better hyperparameters",
        description="Search for hyperparameters that do better on a validation split of the training "
        "data. The test interactions are used once, at the end. Writes study.json and study.png.",
        formatter_class=Defaults,
    )
    where_arguments.add_data_dir(tune, defaults)
    where_arguments.add_state(tune, {}, "for --event-log: where it is")
    option_flags.add(tune.add_argument_group("data"), DataSpec)
    search = tune.add_argument_group("search")
    option_flags.add(search, StudyOptions, SearchSpace)
    start = declared(Hyperparameters)
    option_flags.add_one(search, start["seed"])
    option_flags.add_one(search, start["threads"], help="only with 1 can a search be reproduced")
    option_flags.add_one(search, start["sample_weights"])
    tune.add_argument("--output", type=Path, default=Path("study"), help="folder to write to")
    _add_json(tune)


def _add_versions(commands: Any, defaults: dict[str, str]) -> None:
    versions = commands.add_parser("versions", help="list what is published, with metrics and labels")
    version = commands.add_parser("version", help="show one version")
    delete = commands.add_parser("delete", help="delete a version that no label names")
    diff = commands.add_parser("diff", help="compare two versions")
    promote = commands.add_parser("promote", help="make a label name a version, after verifying it")
    rollback = commands.add_parser(
        "rollback", help="make a label name what it named before, after verifying it"
    )
    diff.add_argument("base", type=spec_arguments.version, help="the version to compare with")
    for parser in (version, delete, diff, promote):
        parser.add_argument("version", type=spec_arguments.version, help="the version's name")
    diff.add_argument("--users", **spec_arguments.whole(USERS, DEFAULT_USERS))
    for parser in (versions, version, delete, diff, promote, rollback):
        where_arguments.add_where(parser, defaults)
    for parser in (promote, rollback):
        told = {"default": layout.DEFAULT_LABEL, "help": "default: %(default)s"}
        parser.add_argument("--label", type=spec_arguments.label, **told)
    for parser in (versions, version, delete, diff, promote, rollback):
        _add_json(parser)


def _add_runs(commands: Any, defaults: dict[str, str]) -> None:
    runs = commands.add_parser("runs", help="list a service's training runs, the latest first")
    runs.add_argument("--limit", **spec_arguments.whole(PAGE_SIZE, 20))
    runs.add_argument("--page-token", default="", help="from the page before")
    runs.add_argument("--state", choices=STATES, help="only those in this state")
    parsers = [runs]
    for name, what in (
        ("run", "show a training run"),
        ("watch", "follow a training run to its end"),
        ("cancel", "end a training run that waits or runs"),
    ):
        parsers.append(commands.add_parser(name, help=what))
        parsers[-1].add_argument("run_id", help="the run's id")
    append = commands.add_parser("append", help="append a file's interactions to a service's log")
    append.add_argument(
        "file", type=Path, help="CSV or Parquet: user_id, item_id, event_id, weight, timestamp, event"
    )
    append.add_argument(
        "--id-prefix",
        default="",
        help="where there is no event_id: this and the row's number are one, so give each file its own",
    )
    for parser in (*parsers, append):
        where_arguments.add_target(parser, defaults, required=True)
        _add_json(parser)


def _add_remove_events(commands: Any, defaults: dict[str, str]) -> None:
    remove = removal_command.add(commands)
    where_arguments.add_where(remove, defaults, timeout_seconds=removal_command.TIMEOUT_SECONDS)
    where_arguments.add_state(remove, defaults)
    _add_json(remove)


def _add_health(commands: Any, defaults: dict[str, str]) -> None:
    health = commands.add_parser(
        "health",
        help="a probe: exit status 0 when the service takes calls, 1 when not",
        description="A probe for containers without other tools. Exit status 0: healthy, 1: not.",
    )
    # A probe that waits for a minute tells nothing.
    where_arguments.add_target(health, defaults, required=True, timeout_seconds=5.0)
    _add_json(health)


def _add_verify(commands: Any, defaults: dict[str, str]) -> None:
    verify = commands.add_parser("verify", help="check every byte of versions")
    verify.add_argument(
        "versions",
        nargs="*",
        type=spec_arguments.version,
        metavar="VERSION",
        help="default: all of them",
    )
    where_arguments.add_volume(verify, defaults)
    _add_json(verify)


def _add_fetch(commands: Any, defaults: dict[str, str]) -> None:
    fetch = commands.add_parser("fetch-dataset", help="download a dataset once, checked by its hash")
    fetch.add_argument("dataset", choices=[movielens.NAME])
    where_arguments.add_data_dir(fetch, defaults, "default: %(default)s")


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
