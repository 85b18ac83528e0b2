"""The flags of the commands that ask a service. Knows no gRPC."""

from __future__ import annotations

import argparse
import operator
from collections.abc import Callable
from typing import Any

from lightfm_retriever.hosting.addresses import joined
from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.settings.parser import PathType
from retriever.cli import flag_values
from retriever.config import DEFAULT_LISTEN, parse_address


def add_commands(commands: Any, defaults: dict[str, str]) -> None:
    """Add them all; `defaults` are what the environment sets."""
    _add_similar_items(commands, defaults)
    _add_recommend(commands, defaults)
    _add_batch(commands, defaults, "similar-items", "SimilarItemsRequest", "item_id")
    _add_batch(commands, defaults, "recommend", "RecommendRequest", "user_id")
    _add_status(commands, defaults)
    _add_health(commands, defaults)


def _add_similar_items(commands: Any, defaults: dict[str, str]) -> None:
    similar = commands.add_parser("similar-items", help="the items most like one item, or several")
    similar.add_argument("item_ids", nargs="*", metavar="ITEM_ID", help="external ids of the items")
    similar.add_argument(
        "--item",
        dest="weighted",
        action="append",
        type=flag_values.weighted_item,
        metavar="ID[=WEIGHT]",
        help="an item that may count for more or less than the others; repeat it",
    )
    _add_options(similar)
    _add_target(similar, defaults)
    text = "at least one ITEM_ID (or --item) is needed"
    _check(similar, lambda options: bool(options.item_ids or options.weighted), text)


def _add_recommend(commands: Any, defaults: dict[str, str]) -> None:
    recommend = commands.add_parser(
        "recommend", help="the items that suit a user, a session or features best"
    )
    recommend.add_argument("user_id", nargs="?", metavar="USER_ID", help="external id of a known user")
    recommend.add_argument(
        "--session",
        action="extend",
        type=flag_values.session,
        metavar="ID[:WEIGHT],...",
        help="what somebody looked at or bought, such as 50,181:2",
    )
    recommend.add_argument(
        "--session-item",
        dest="session",
        action="append",
        type=flag_values.weighted_item,
        metavar="ID[=WEIGHT]",
        help="the same for one item, whose id may have commas and colons; repeat it",
    )
    recommend.add_argument(
        "--feature",
        dest="features",
        action="append",
        metavar="COLUMN:VALUE",
        help="what is known of a new user, such as age:25-34; repeat it",
    )
    recommend.add_argument(
        "--include-seen", action="store_true", help="keep what the user has seen in the results"
    )
    _add_options(recommend)
    _add_target(recommend, defaults)
    text = "exactly one is needed of USER_ID, --session (or --session-item), --feature"
    subjects = operator.attrgetter("user_id", "session", "features")
    _check(recommend, lambda options: subjects(options).count(None) == 2, text)


def _add_batch(commands: Any, defaults: dict[str, str], of: str, request: str, subject: str) -> None:
    batch = commands.add_parser(
        f"batch-{of}",
        help=f"many of {of}: JSON lines in, JSON lines out",
        description=f"Each line is a {request} in its JSON form, such as "
        f'{{"{subject}": "3", "limit": 5}}; ids may be whole numbers, and return_attribute_names '
        'is a list. For each, in order, a line of JSON is printed, with its number as "line" and '
        'the answer or "error". '
        "Long inputs are asked for in batches of 64. Exit status 1: not all could be answered.",
    )
    batch.add_argument(
        "file", type=PathType(), metavar="FILE", help="the requests; - for standard input"
    )
    _add_target(batch, defaults, json=False)


def _add_status(commands: Any, defaults: dict[str, str]) -> None:
    status = commands.add_parser(
        "status",
        help="what each worker serves, does and needs; or who of a fleet serves what",
        description="With --fleet the exit status is 0 when every retriever answers and serves the "
        "same version, 1 when not.",
    )
    whom = status.add_mutually_exclusive_group()
    whom.add_argument(
        "--fleet",
        type=flag_values.addresses,
        metavar="HOST:PORT,...",
        help="ask each of these at the same time, and say whether all serve the same version",
    )
    _add_target(status, defaults, whom=whom)


def _add_health(commands: Any, defaults: dict[str, str]) -> None:
    health = commands.add_parser(
        "health",
        help="a probe: exit status 0 when healthy, 1 when not",
        description="A probe for containers without other tools. Exit status 0: healthy, 1: not.",
    )
    kind = health.add_mutually_exclusive_group()
    kind.add_argument(
        "--readiness",
        action="store_true",
        default=True,
        help="healthy while a publication is served and the service isn't stopping (the default)",
    )
    kind.add_argument(
        "--liveness",
        action="store_true",
        help="healthy while a worker answers, whatever it says: restart the container when it doesn't",
    )
    _add_target(health, defaults)


def _add_options(parser: argparse.ArgumentParser) -> None:
    """The flags of both kinds of request."""
    parser.add_argument("--limit", type=int, help="number of results, 1 to 1000 (default: 10)")
    parser.add_argument(
        "--search-effort",
        type=float,
        metavar="FACTOR",
        help="look at more or less than was tuned, 0.1 to 100 times as much (default: 1)",
    )
    parser.add_argument("--exact", action="store_true", help="score every item: the true answer")
    _add_what_may_be_returned(parser)
    parser.add_argument(
        "--unknown",
        dest="unknown_ids",
        choices=["error", "ignore", "popular"],
        help="what to do about ids that aren't published: fail, answer from the others, or show what "
        "is popular if there are none (default: error for one id, ignore for several)",
    )
    parser.add_argument(
        "--diversity",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="how much results should differ from one another, 0 to 1 (default: 0)",
    )
    parser.add_argument("--explain", action="store_true", help="say where each score comes from")
    parser.add_argument(
        "--attributes",
        type=flag_values.separated("NAME,...", "genres,release_year"),
        action="extend",
        default=[],
        metavar="NAME,...",
        help="show these of each item, such as genres,release_year",
    )
    parser.add_argument("--paginate", action="store_true", help="show the token of the next page")
    parser.add_argument(
        "--page-token",
        default="",
        metavar="TOKEN",
        help="the results after an answer to the same request",
    )
    parser.add_argument("--all-pages", action="store_true", help="page after page of --limit results")
    parser.add_argument(
        "--max-pages",
        type=flag_values.page_count,
        default=100,
        metavar="COUNT",
        help="where --all-pages ends at the latest (default: %(default)s)",
    )


def _add_what_may_be_returned(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exclude",
        dest="exclude_item_ids",
        action="extend",
        type=flag_values.separated("ID,...", "50,181 (--exclude-item for ids with commas)"),
        default=[],
        metavar="ID,...",
        help="not these items, such as 50,181",
    )
    parser.add_argument(
        "--exclude-item",
        dest="exclude_item_ids",
        action="append",
        metavar="ID",
        help="the same for one item, whose id may have commas; repeat it",
    )
    for test, how in (("any_of", "at least one"), ("all_of", "all"), ("none_of", "none")):
        parser.add_argument(
            f"--{test.replace('_', '-')}",
            dest="filter",
            action="append",
            default=[],
            type=flag_values.text_condition(test),
            metavar="NAME=VALUE|...",
            help=f"only items with {how} of these, such as 'genres=Drama|War' (\\| for a | in a value)",
        )
    parser.add_argument(
        "--range",
        dest="filter",
        action="append",
        default=[],
        type=flag_values.range_condition,
        metavar="NAME=MIN..MAX",
        help="only items with a number in it, such as release_year=1990..1999, 1990.. or ..1999",
    )


def _add_target(
    parser: argparse.ArgumentParser,
    defaults: dict[str, str],
    *,
    whom: argparse._ActionsContainer | None = None,
    json: bool = True,
) -> None:
    """Whom to ask and how; `whom` is the group of --target where there is another way to say it."""
    (whom or parser).add_argument(
        "--target",
        type=client_flags.target,
        default=joined(*parse_address(defaults.get("listen", DEFAULT_LISTEN))),
        metavar="HOST:PORT",
        help="the service to ask (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=client_flags.seconds,
        default=5.0,
        help="seconds to wait for an answer (default: 5)",
    )
    client_flags.add(parser, defaults)
    if json:
        parser.add_argument("--json", action="store_true", help="print the response as JSON")


def _check(parser: argparse.ArgumentParser, holds: Callable[[Any], bool], text: str) -> None:
    """Have flags that together make no sense refused by a text."""
    parser.set_defaults(check=lambda options: holds(options) or parser.error(text))
