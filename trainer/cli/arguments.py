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
from lightfm_retriever.hosting.settings import flags, layers, option_flags
from lightfm_retriever.hosting.settings.parser import Defaults, Parser, PathType, add_version, is_utf8
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from lightfm_retriever.remote import location
from trainer.cli import removal_command, spec_arguments, study_arguments
from trainer.cli import spark_arguments as spark_arguments
from trainer.cli.environment import Environment, from_environment
from trainer.data import movielens
from trainer.index import NAMES
from trainer.index.tuning import TuningOptions
from trainer.runs.store import STATES
from trainer.spec import DataSpec, TrainingSpec

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
    defaults = from_environment(os.environ)
    parser = Parser(
        prog="python -m trainer",
        description="Train LightFM, publish embeddings and nearest-neighbour indexes, and look after "
        "what is published.",
    )
    add_version(parser, "lightfm-trainer")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands, defaults)
    _add_publish(commands, defaults)
    _add_report(commands, defaults)
    study_arguments.add(commands, defaults.data_dir)
    _add_versions(commands, defaults)
    _add_label_moves(commands, defaults)
    _add_runs(commands, defaults)
    _add_remove_events(commands, defaults)
    _add_health(commands, defaults)
    _add_verify(commands, defaults)
    serve = _add_serve(commands)
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
        if defaults.target is None:
            parser.error(f"{options.command}: give --volume, or --target for a service")
        try:
            found["target"] = client_flags.target(defaults.target)
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


def _add_train(commands: Any, defaults: Environment) -> None:
    train = commands.add_parser(
        "train",
        help="train a model and publish it",
        description="Train a model and publish it, here or (with --target) by a service." + _TRAIN,
        formatter_class=Defaults,
    )
    _add_where(train, defaults)
    train.add_argument("--data-dir", type=Path, default=defaults.data_dir, help="where datasets are")
    _add_state(train, defaults)
    spec_arguments.add_training(train)
    spark_arguments.add_engine(train)
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


def _add_publish(commands: Any, defaults: Environment) -> None:
    publish = commands.add_parser(
        "publish",
        help="publish vectors of any model",
        description="Publish vectors of any model, checked, tuned and reported like LightFM's."
        + _PUBLISH,
        formatter_class=Defaults,
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
        ("items", False, "CSV or Parquet with item_id, title and attributes"),
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
    spec_arguments.add_indexing(publish)
    spec_arguments.add_gates(publish)
    spec_arguments.add_publishing(publish)
    _add_json(publish)


def _add_report(commands: Any, defaults: Environment) -> None:
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
    _add_volume(report, defaults)
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


def _add_versions(commands: Any, defaults: Environment) -> None:
    versions = commands.add_parser("versions", help="list what is published, with metrics and labels")
    version = commands.add_parser("version", help="show one version")
    delete = commands.add_parser("delete", help="delete a version that no label names")
    diff = commands.add_parser("diff", help="compare two versions")
    diff.add_argument("base", type=spec_arguments.version, help="the version to compare with")
    for parser in (version, delete, diff):
        parser.add_argument("version", type=spec_arguments.version, help="the version's name")
    diff.add_argument(
        "--users",
        type=spec_arguments.whole(1, 10_000),
        default=200,
        help="users whose top ten are compared, 1 to 10000 (default: 200)",
    )
    for parser in (versions, version, delete, diff):
        _add_where(parser, defaults)
        _add_json(parser)


def _add_label_moves(commands: Any, defaults: Environment) -> None:
    promote = commands.add_parser("promote", help="make a label name a version, after verifying it")
    promote.add_argument("version", type=spec_arguments.version, help="the version's name")
    rollback = commands.add_parser(
        "rollback", help="make a label name what it named before, after verifying it"
    )
    for parser in (promote, rollback):
        _add_where(parser, defaults)
        parser.add_argument(
            "--label",
            type=spec_arguments.label,
            default=layout.DEFAULT_LABEL,
            help="default: %(default)s",
        )
        _add_json(parser)


def _add_runs(commands: Any, defaults: Environment) -> None:
    runs = commands.add_parser("runs", help="list a service's training runs, the latest first")
    runs.add_argument(
        "--limit",
        type=spec_arguments.whole(1, 1000),
        default=20,
        help="at most so many, 1 to 1000 (default: 20)",
    )
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
        _add_target(parser, defaults, required=True)
        _add_json(parser)


def _add_remove_events(commands: Any, defaults: Environment) -> None:
    remove = removal_command.add(commands)
    _add_where(remove, defaults, timeout_seconds=removal_command.TIMEOUT_SECONDS)
    _add_state(remove, defaults)
    _add_json(remove)


def _add_health(commands: Any, defaults: Environment) -> None:
    health = commands.add_parser(
        "health",
        help="a probe: exit status 0 when the service takes calls, 1 when not",
        description="A probe for containers without other tools. Exit status 0: healthy, 1: not.",
    )
    # A probe that waits for a minute tells nothing.
    _add_target(health, defaults, required=True, timeout_seconds=5.0)
    _add_json(health)


def _add_verify(commands: Any, defaults: Environment) -> None:
    verify = commands.add_parser("verify", help="check every byte of versions")
    verify.add_argument(
        "versions",
        nargs="*",
        type=spec_arguments.version,
        metavar="VERSION",
        help="default: all of them",
    )
    _add_volume(verify, defaults)
    _add_json(verify)


def _add_serve(commands: Any) -> argparse.ArgumentParser:
    serve: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="train on request, look after versions and collect interactions, over gRPC",
        description="Serve the TrainerService. With flags of a training run and --retrain-every, "
        "--retrain-cron or --retrain-on-change it also trains by itself. Each flag can be set by the "
        "environment too: TRAINER_VOLUME, TRAINER_LISTEN, ..., or in the file that --config names.",
        formatter_class=Defaults,
        # The file that --config names is read before the flags are.
        allow_abbrev=False,
    )
    add_serve_flags(serve)
    return serve


def add_serve_flags(serve: argparse.ArgumentParser) -> None:
    """All that `serve` takes."""
    defaults = from_environment({})
    _add_volume(serve, defaults)
    _add_state(serve, defaults)
    serve.add_argument(
        "--listen", default=defaults.listen, metavar="HOST:PORT", help="port 0 takes a free one"
    )
    serve.add_argument("--data-dir", type=Path, default=defaults.data_dir, help="where datasets are")
    serve.add_argument(
        "--data-root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="requests may name files below it; can be given several times (default: none)",
    )
    serve.add_argument("--parallel-runs", type=int, default=1, help="training runs at the same time")
    retention = serve.add_argument_group("retention", "What a label names is never deleted.")
    retention.add_argument("--keep", type=int, default=5, help="newest versions to keep at the least")
    retention.add_argument(
        "--min-age", default="1h", metavar="DURATION", help="keep everything younger than this"
    )
    retention.add_argument(
        "--max-age",
        default=argparse.SUPPRESS,
        metavar="DURATION",
        help="keep everything up to this age (default: as little as --keep and --min-age allow)",
    )
    retention.add_argument(
        "--keep-all", action="store_true", default=False, help="never delete a version"
    )
    again = serve.add_argument_group("training by itself")
    again.add_argument(
        "--retrain-every", default=argparse.SUPPRESS, metavar="DURATION", help="such as 1h or 7d"
    )
    again.add_argument(
        "--retrain-cron",
        default=argparse.SUPPRESS,
        metavar="EXPRESSION",
        help="five fields, UTC, such as '0 3 * * *'",
    )
    again.add_argument(
        "--retrain-on-change",
        action="store_true",
        default=False,
        help="whenever the input is another one",
    )
    again.add_argument(
        "--maintenance-seconds",
        type=float,
        default=30.0,
        help="how often to look for old versions and whether it is time to train",
    )
    flags.add_flags(serve)
    spec_arguments.add_training(serve)
    spark_arguments.add_engine(serve)


def _add_state(parser: argparse.ArgumentParser, defaults: Environment) -> None:
    parser.add_argument(
        "--state",
        type=Path,
        default=argparse.SUPPRESS if defaults.state is None else defaults.state,
        metavar="DIR",
        help="directory of runs and appended interactions, on this machine's own disk (default: "
        "VOLUME.trainer beside the volume, for a URL BUCKET-PREFIX.trainer in the current directory)",
    )


def _add_fetch(commands: Any, defaults: Environment) -> None:
    fetch = commands.add_parser("fetch-dataset", help="download a dataset once, checked by its hash")
    fetch.add_argument("dataset", choices=[movielens.NAME])
    fetch.add_argument("--data-dir", type=Path, default=defaults.data_dir, help="default: %(default)s")


def _add_volume(parser: argparse.ArgumentParser, defaults: Environment) -> None:
    _add_volume_flags(parser, defaults, required=defaults.volume is None)


class _Where(argparse.Action):
    """A flag that the command line may have one of. What the environment has isn't given."""

    def __init__(self, *, given: set[str], **options: Any) -> None:
        super().__init__(**options)
        self._given = given

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002 - argparse passes it
    ) -> None:
        self._given.add(self.dest)
        if len(self._given) > 1:
            parser.error("give --volume or --target, not both")
        setattr(namespace, self.dest, values)


def _add_volume_flags(
    parser: argparse._ActionsContainer,
    defaults: Environment,
    *,
    required: bool,
    **alone: Any,
) -> None:
    # Text, as the environment has it, goes through `type` like the command line's.
    parser.add_argument(
        "--volume",
        **alone,
        type=PathType(location.argument),
        default=argparse.SUPPRESS if defaults.volume is None else defaults.volume,
        required=required,
        metavar="DIR|URL",
        help="the shared volume: a folder, or s3://BUCKET/PREFIX, gs://..., az://... (or set "
        "TRAINER_VOLUME)",
    )
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=argparse.SUPPRESS if defaults.cache_dir is None else defaults.cache_dir,
        metavar="DIR",
        help="with a URL: where versions are made and fetched to, on this machine's own disk (default: "
        "cache in the directory of --state)",
    )
    parser.add_argument(
        "--cache-gb",
        type=float,
        default=defaults.cache_gb,
        metavar="GB",
        help="with a URL: what the versions in --cache-dir may have together; the least recently used "
        "go; 0 for any",
    )


def _add_target(
    parser: argparse._ActionsContainer,
    defaults: Environment,
    *,
    required: bool = False,
    timeout_seconds: float = 60.0,
    **alone: Any,
) -> None:
    parser.add_argument(
        "--target",
        **alone,
        type=client_flags.target,
        default=defaults.listen if required else argparse.SUPPRESS,
        metavar="HOST:PORT",
        help="the service to ask "
        + ("(default: %(default)s)" if required else f"(or set {PREFIX}LISTEN, and no volume)"),
    )
    parser.add_argument(
        "--timeout",
        type=client_flags.seconds,
        default=timeout_seconds,
        metavar="SECONDS",
        help="for its answer (default: %(default)g)",
    )
    client_flags.add(parser, defaults.client)


def _add_where(
    parser: argparse.ArgumentParser,
    defaults: Environment,
    *,
    timeout_seconds: float = 60.0,
) -> None:
    """A volume, or a service that has one."""
    group = parser.add_argument_group("where")
    alone: dict[str, Any] = {"action": _Where, "given": set[str]()}
    _add_volume_flags(group, defaults, required=False, **alone)
    _add_target(group, defaults, timeout_seconds=timeout_seconds, **alone)


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
