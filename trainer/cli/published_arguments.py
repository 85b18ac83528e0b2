"""The flags of the commands about versions, and about a service's runs and events."""

from __future__ import annotations

import argparse
from pathlib import Path

from lightfm_retriever.hosting.settings.parser import Program
from lightfm_retriever.publication import layout
from trainer.cli import removal_command, spec_arguments, where_arguments
from trainer.runs.run import PAGE_SIZE, STATES
from trainer.versions.diff import DEFAULT_USERS, USERS


def add_versions(made: Program) -> None:
    """Add the commands about versions."""
    topic = "Versions"
    versions = made.command(topic, "versions", "List the versions, with metrics and labels.")
    version = made.command(topic, "version", "Show one version.")
    diff = made.command(topic, "diff", "Compare two versions.")
    promote = made.command(topic, "promote", "Verify a version, and move a label to it.")
    rollback = made.command(topic, "rollback", "Move a label back to the version before.")
    delete = made.command(topic, "delete", "Delete a version that no label names.")
    diff.add_argument(
        "base", type=spec_arguments.version, help="the version to compare with: its name, or a label"
    )
    for parser in (version, diff, promote):
        told = "the version's name, or a label that names it"
        parser.add_argument("version", type=spec_arguments.version, help=told)
    # A label could have moved to another version than the caller means.
    delete.add_argument("version", type=spec_arguments.version_name, help="the version's name")
    diff.add_argument("--users", metavar="N", **spec_arguments.whole(USERS, DEFAULT_USERS))
    for parser in (versions, version, delete, diff, promote, rollback):
        where_arguments.add_where(parser)
    add_export(versions, "versions")
    for parser in (promote, rollback):
        parser.add_argument(
            "--label",
            type=spec_arguments.label,
            default=layout.DEFAULT_LABEL,
            help="the label to move",
        )
    for parser in (versions, version, delete, diff, promote, rollback):
        add_json(parser)
    verify = made.command(
        topic,
        "verify",
        "Check every byte of versions.",
        more="The exit status is 1 if a version is damaged.",
    )
    verify.add_argument(
        "versions",
        nargs="*",
        type=spec_arguments.version,
        metavar="VERSION",
        help="names of versions, or labels (default: all versions)",
    )
    where_arguments.add_volume(verify)
    add_json(verify)


def add_runs(made: Program) -> None:
    """Add the commands about a service's training runs."""
    topic = "Training runs of a service"
    runs = made.command(topic, "runs", "List training runs, the latest first.")
    runs.add_argument("--limit", metavar="N", **spec_arguments.whole(PAGE_SIZE, 20))
    runs.add_argument(
        "--page-token", default="", metavar="TOKEN", help="list the runs after an earlier page"
    )
    runs.add_argument("--state", choices=STATES, help="list only runs in this state")
    add_export(runs, "runs, whatever --limit says,")
    parsers = [runs]
    for name, what in (
        ("run", "Show a training run."),
        ("watch", "Follow a training run to its end."),
        ("cancel", "Cancel a training run that waits or runs."),
    ):
        parser = made.command(topic, name, what)
        parser.add_argument("run_id", metavar="RUN", help="the run's id")
        parsers.append(parser)
    for parser in parsers:
        where_arguments.add_target(parser)
        add_json(parser)


def add_events(made: Program) -> None:
    """Add the commands about the log of appended interactions."""
    topic = "Interactions of a service"
    append = made.command(topic, "append", "Append a file's interactions to the service's event log.")
    append.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="CSV or Parquet, with user_id, item_id, event_id, weight, timestamp and event",
    )
    append.add_argument(
        "--id-prefix",
        default="",
        help="for a file without event_id: the id of an event is this and the row's number, so give "
        "each file its own",
    )
    where_arguments.add_target(append)
    add_json(append)
    remove = removal_command.add(made, topic)
    where_arguments.add_where(remove, timeout_seconds=removal_command.TIMEOUT_SECONDS)
    where_arguments.add_state(remove)
    add_json(remove)
    remove.everyday = (
        *("--user", "--item", "--event-id", "--from", "--to", "--min-weight", "--max-weight"),
        *("--dry-run", "--volume", "--state", "--target", "--json"),
    )


def add_health(made: Program) -> None:
    """Add the command of the probe."""
    health = made.command(
        "Serve",
        "health",
        "Ask whether the service takes calls, as a probe.",
        more="The exit status is 0 if it does, and 1 if it doesn't.",
    )
    # A probe that waits for a minute is useless.
    where_arguments.add_target(health, timeout_seconds=5.0)
    add_json(health)


def add_export(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --export."""
    parser.add_argument(
        "--export",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help=f"write all {what} with parameters and metrics to this file, .csv or .json",
    )


def add_json(parser: argparse._ActionsContainer) -> None:
    """Add --json."""
    parser.add_argument(
        "--json", action="store_true", default=False, help="print results and errors as JSON"
    )
