"""The flags of the commands that ask a service. Needs no gRPC."""

from __future__ import annotations

import argparse
import operator
from collections.abc import Callable
from typing import Any

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.settings.help_pages import CONNECTION
from lightfm_retriever.hosting.settings.parser import Parser, Program
from lightfm_retriever.hosting.settings.values import PathType
from retriever.answering.questions import DEFAULT_LIMIT, MAX_EFFORT, MAX_LIMIT, MIN_EFFORT
from retriever.cli import flag_values
from retriever.config import DEFAULT_LISTEN

PREFIX = "RETRIEVER_"
"""The beginning of the variables' names."""

_ASK, _WATCH = "Ask", "Watch"


def add_commands(made: Program) -> None:
    """Add all these commands."""
    _add_recommend(made)
    _add_similar_items(made)
    _add_batch(made, "recommend", "RecommendRequest", "user_id")
    _add_batch(made, "similar-items", "SimilarItemsRequest", "item_id")
    _add_status(made)
    _add_health(made)


def _add_similar_items(made: Program) -> None:
    similar = made.command(_ASK, "similar-items", "Find the items most like one item, or several.")
    similar.add_argument("item_ids", nargs="*", metavar="ITEM_ID", help="ids of the items")
    similar.add_argument(
        "--item",
        dest="weighted",
        action="append",
        type=flag_values.weighted_item,
        metavar="ID[=WEIGHT]",
        help="an item that may count for more or less than the others; may be given several times",
    )
    _add_options(similar)
    _add_target(similar)
    similar.everyday = ("--item", *_EVERYDAY)
    text = "at least one ITEM_ID (or --item) is needed"
    _check(similar, lambda options: bool(options.item_ids or options.weighted), text)


def _add_recommend(made: Program) -> None:
    recommend = made.command(_ASK, "recommend", "Recommend items for a user, a session or features.")
    recommend.add_argument("user_id", nargs="?", metavar="USER_ID", help="id of a known user")
    recommend.add_argument(
        "--session",
        action="extend",
        type=flag_values.session,
        metavar="ID[:WEIGHT],...",
        help="items that somebody looked at or bought, such as 50,181:2",
    )
    recommend.add_argument(
        "--session-item",
        dest="session",
        action="append",
        type=flag_values.weighted_item,
        metavar="ID[=WEIGHT]",
        help="one item of a session, whose id may have commas and colons; may be given several times",
    )
    recommend.add_argument(
        "--feature",
        dest="features",
        action="append",
        metavar="COLUMN:VALUE",
        help="a feature of a new user, such as age:25-34; may be given several times",
    )
    recommend.add_argument(
        "--include-seen", action="store_true", help="keep items that the user has seen in the results"
    )
    _add_options(recommend)
    _add_target(recommend)
    recommend.everyday = ("--session", "--feature", "--include-seen", *_EVERYDAY)
    text = "exactly one is needed of USER_ID, --session (or --session-item), --feature"
    subjects = operator.attrgetter("user_id", "session", "features")
    _check(recommend, lambda options: subjects(options).count(None) == 2, text)


def _add_batch(made: Program, of: str, request: str, subject: str) -> None:
    batch = made.command(
        _ASK,
        f"batch-{of}",
        f"Run {of} for each line of a JSON file.",
        more=f"Each line is a {request} as JSON, such as "
        f'{{"{subject}": "3", "limit": 5}}; ids may be whole numbers, and return_attribute_names '
        "is a list. For each request, in order, a line of JSON is printed, with the line's number as "
        '"line", and the answer or "error". The service is asked for 64 requests at a time. The exit '
        "status is 1 if a request couldn't be answered.",
    )
    batch.add_argument(
        "file", type=PathType(), metavar="FILE", help="the requests; - for standard input"
    )
    _add_target(batch, json=False)


def _add_status(made: Program) -> None:
    status = made.command(
        _WATCH,
        "status",
        "Show each worker's version, or a fleet's versions.",
        more="With --fleet the exit status is 0 if every retriever answers and serves the same "
        "version, and 1 if not.",
    )
    either = status.add_mutually_exclusive_group()
    either.add_argument(
        "--fleet",
        type=flag_values.addresses,
        metavar="HOST:PORT,...",
        help="ask each of these retrievers, and say whether all serve the same version",
    )
    _add_target(status, either=either)


def _add_health(made: Program) -> None:
    health = made.command(
        _WATCH,
        "health",
        "Ask whether the service is healthy, as a probe.",
        more="The exit status is 0 if it is, and 1 if it isn't.",
    )
    kind = health.add_mutually_exclusive_group()
    kind.add_argument(
        "--readiness",
        action="store_true",
        default=True,
        help="healthy while a version is served and the service isn't stopping (the default)",
    )
    kind.add_argument(
        "--liveness",
        action="store_true",
        help="healthy while a worker answers at all; restart the container if none does",
    )
    _add_target(health)


_EVERYDAY = (
    *("--limit", "--any-of", "--all-of", "--none-of", "--range", "--exclude", "--attributes"),
    *("--explain", "--exact", "--target", "--json"),
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of both kinds of request."""
    parser.add_argument(
        "--limit",
        type=flag_values.within(int, 1, MAX_LIMIT),
        metavar="N",
        help=f"number of results, 1 to {MAX_LIMIT} (default: {DEFAULT_LIMIT})",
    )
    parser.add_argument(
        "--search-effort",
        type=flag_values.within(float, MIN_EFFORT, MAX_EFFORT),
        metavar="FACTOR",
        help="multiple of the tuned number of candidates to search, "
        f"{MIN_EFFORT:g} to {MAX_EFFORT:g} (default: 1)",
    )
    parser.add_argument(
        "--exact", action="store_true", help="score every item, which gives the exact answer"
    )
    _add_what_may_be_returned(parser)
    parser.add_argument(
        "--unknown",
        dest="unknown_ids",
        choices=["error", "ignore", "popular"],
        help="for ids that aren't published: fail, answer from the other ids, or show popular items if "
        "there are no others (default: error for one id, ignore for several)",
    )
    parser.add_argument(
        "--diversity",
        type=flag_values.within(float, 0, 1),
        default=0.0,
        metavar="SHARE",
        help="make results differ from one another, by 0 to 1 (default: 0)",
    )
    parser.add_argument("--explain", action="store_true", help="show the parts of each score")
    parser.add_argument(
        "--attributes",
        type=flag_values.separated("NAME,...", "genres,release_year"),
        action="extend",
        default=[],
        metavar="NAME,...",
        help="show these attributes of each item, such as genres,release_year",
    )
    parser.add_argument(
        "--paginate", action="store_true", help="show the token of the next page of results"
    )
    parser.add_argument(
        "--page-token",
        default="",
        metavar="TOKEN",
        help="show the results after an earlier answer to the same request",
    )
    parser.add_argument(
        "--all-pages", action="store_true", help="show one page of --limit results after another"
    )
    parser.add_argument(
        "--max-pages",
        type=flag_values.page_count,
        default=100,
        metavar="COUNT",
        help="most pages that --all-pages shows (default: %(default)s)",
    )


def _add_what_may_be_returned(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exclude",
        dest="exclude_item_ids",
        action="extend",
        type=flag_values.separated("ID,...", "50,181 (--exclude-item for ids with commas)"),
        default=[],
        metavar="ID,...",
        help="leave these items out, such as 50,181",
    )
    parser.add_argument(
        "--exclude-item",
        dest="exclude_item_ids",
        action="append",
        metavar="ID",
        help="leave this item out, whose id may have commas; may be given several times",
    )
    for test, told in (
        ("any_of", "at least one of these values, such as 'genres=Drama|War' (\\| for a | in a value)"),
        ("all_of", "all of these values"),
        ("none_of", "none of these values"),
    ):
        parser.add_argument(
            f"--{test.replace('_', '-')}",
            dest="filter",
            action="append",
            default=[],
            type=flag_values.text_condition(test),
            metavar="NAME=VALUE|...",
            help=f"keep items with {told}",
        )
    parser.add_argument(
        "--range",
        dest="filter",
        action="append",
        default=[],
        type=flag_values.range_condition,
        metavar="NAME=MIN..MAX",
        help="keep items with a number in this range, such as release_year=1990..1999; or with one "
        "end: 1990.. or ..1999",
    )


def _add_target(
    parser: Parser, *, either: argparse._ActionsContainer | None = None, json: bool = True
) -> None:
    """Add the flags of the service to ask. --target joins the group `either`, if there is one."""
    client_flags.add_target(either or parser, DEFAULT_LISTEN, PREFIX)
    client_flags.add(parser.add_argument_group(CONNECTION), timeout_seconds=5.0, prefix=PREFIX)
    if json:
        parser.add_argument("--json", action="store_true", help="print results and errors as JSON")


def _check(parser: Parser, holds: Callable[[Any], bool], text: str) -> None:
    """Refuse, with this text, flags that make no sense together."""
    parser.set_defaults(check=lambda options: holds(options) or parser.error(text))
