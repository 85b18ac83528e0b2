"""`lightfm-trainer remove-events`: its flags and its output."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.errors import FlagError
from lightfm_retriever.hosting.settings.parser import Parser, Program
from lightfm_retriever.hosting.terminal import print_json
from lightfm_retriever.publication.writer import utc_now
from trainer.cli.printed import printing
from trainer.data.bounds import EARLIEST_TIME, MAX_SECONDS_AHEAD
from trainer.errors import InputError

if TYPE_CHECKING:
    # At run time they are imported where they are used, because parsing flags needs none of them.
    from trainer.event_log.log import Removed, Selection

NAME = "remove-events"
# Enough time to read a log of hundreds of millions of events.
TIMEOUT_SECONDS = 600.0
_YEAR = re.compile(r"(19|20)\d\d")


def add(made: Program, topic: str) -> Parser:
    """Add the command's parser, without the flags that locate the log."""
    parser = made.command(
        topic,
        NAME,
        "Remove events from the event log, or count them.",
        more="Ask the service (--target), or name the log (--state or --volume) while no service runs. "
        "An event is removed if it matches every option. Of an option given several times, one match "
        "is enough. Published versions keep the events until you train again and delete the old ones.",
        epilog="TIME is seconds since 1970, or an ISO 8601 date, with or without a time; in UTC unless "
        "it says otherwise.",
    )
    which = parser.add_argument_group("which")
    for name, dest, what in (
        ("user", "user_ids", "events of this user; may be given several times"),
        ("item", "item_ids", "events with this item; may be given several times"),
        ("event-id", "event_ids", "the event with this id; may be given several times"),
    ):
        several: dict[str, Any] = {"action": "append", "default": [], "metavar": "ID"}
        which.add_argument(f"--{name}", dest=dest, help=what, **several)
    for name, dest, kind, metavar, what in (
        ("from", "happened_from", _time, "TIME", "events at this time or later"),
        ("to", "happened_before", _time, "TIME", "events before this time"),
        ("min-weight", "min_weight", float, "WEIGHT", "events with at least this weight"),
        ("max-weight", "max_weight", float, "WEIGHT", "events with at most this weight"),
    ):
        which.add_argument(f"--{name}", dest=dest, type=kind, default=None, metavar=metavar, help=what)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        default=False,
        help="remove nothing: show how many events match, and some of them",
    )
    return parser


def selection(options: argparse.Namespace) -> Selection:
    """Make the selection of the flags. Raises FlagError."""
    from trainer.event_log.errors import InvalidSelectionError
    from trainer.event_log.log import Selection

    given = {own.name: vars(options)[own.name] for own in fields(Selection)}
    if not any(value not in (None, []) for value in given.values()):
        *others, last = (options.names[name] for name in given)
        raise FlagError(f"nothing is selected: give {', '.join(others)} or {last}")
    since, before = given["happened_from"], given["happened_before"]
    if since is not None and before is not None and since >= before:
        # A selection would name seconds, where its caller wrote dates.
        raise FlagError(
            f"--from is {_shown(since)}, but should be before --to, which is {_shown(before)}"
        )
    try:
        return Selection(**given)
    except InvalidSelectionError as error:
        raise FlagError(client_flags.refusal(str(error), options.names)) from error


def remove(directory: Path, selection: Selection, *, dry_run: bool) -> Removed:
    """Remove events from the log in a directory that no service uses.

    Raises:
        InputError: there is no log.
        EventLogError: the log can't be used, or a service uses it.
    """
    from trainer.event_log import listing
    from trainer.event_log.files import os_errors
    from trainer.event_log.log import EventLog

    with os_errors(directory, "can't be read"):
        # Report a removed log as such, and not as a missing one.
        listing.list_kept(directory)
    # Opening a missing log would create it.
    if not directory.is_dir():
        raise InputError(directory, "there is no event log here")
    with EventLog(directory, recent_ids=1) as log:
        return log.remove(selection, dry_run=dry_run)


def show(removed: Removed, options: argparse.Namespace) -> None:
    """Print the removed events, or with --dry-run the events to remove."""
    if options.json:
        print_json({**asdict(removed), "dry_run": options.dry_run})
        return
    printing.print_warnings(removed.warnings)
    done = "would be removed" if options.dry_run else "were removed"
    if removed.oldest is None or removed.newest is None:
        print(f"0 events {done}")
        return
    print(
        f"{removed.events:,} events {done}: of {removed.users:,} users, with {removed.items:,} items, "
        f"weights {removed.min_weight:g} to {removed.max_weight:g}, {_shown(removed.oldest)} to "
        f"{_shown(removed.newest)}"
    )
    # Events may be removed because of a law, so the terminal's history mustn't keep them.
    if options.dry_run:
        for event in removed.examples:
            kind = f" {event.event!r}" if event.event else ""
            print(
                f"  {event.event_id!r}: user {event.user_id!r}, item {event.item_id!r},{kind} weight "
                f"{event.weight:g}, {_shown(event.timestamp or 0.0)}"
            )
        if removed.events > len(removed.examples):
            print(f"  ... and {removed.events - len(removed.examples):,} more")


def _shown(seconds: float) -> str:
    try:
        when = datetime.fromtimestamp(seconds, UTC)
    except (OSError, ValueError, OverflowError):
        # An old log may have times that are refused today.
        return f"{seconds:g} s after 1970"
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def _time(text: str) -> float:
    """Read a point in time, for argparse, in the forms that files may have."""
    import pyarrow as pa

    from trainer.data.times import time_forms, timestamps

    if _YEAR.fullmatch(text):
        # A user who means the year would remove all events.
        raise argparse.ArgumentTypeError(
            f"it would be so many seconds after 1970: write {text}-01-01 for the year"
        )
    try:
        table = pa.table({"T": pa.array([text], pa.string())})
        times = timestamps.read(Path("T"), table, "T", now=utc_now().timestamp())
    except InputError as error:
        # The caller names the flag and the value.
        reason = re.sub(r"^T is .*?, which isn't(?= seconds since 1970)", "it isn't", error.reason)
        raise argparse.ArgumentTypeError(re.sub("^T is", "it is", reason)) from error
    [seconds] = times.seconds.tolist()
    now = utc_now().timestamp()
    if times.as_numbers[0] and not EARLIEST_TIME <= seconds <= now + MAX_SECONDS_AHEAD:
        # Dates in digits, and serial dates, would select all events.
        hint = time_forms.hint(times.seconds, now=now) or f"write it as {time_forms.EXPECTED}"
        raise argparse.ArgumentTypeError(f"it would be {time_forms.iso(seconds)}: {hint}")
    return float(seconds)
