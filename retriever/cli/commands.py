"""The command-line client: asks a running service, and prints the answer."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import grpc

from lightfm_retriever.hosting.calling import client_flags
from lightfm_retriever.hosting.errors import FlagError, ServiceRefusedError
from lightfm_retriever.hosting.terminal import print_json
from retriever.asking.requests import RequestFields
from retriever.cli import batches, refusals
from retriever.cli.flag_values import PageCount
from retriever.cli.fleet import ask_all
from retriever.cli.output import content, fleet_content, print_answer, print_fleet, print_status
from retriever.client import Answer, CallError, Items, RetrieverClient

# The most unknown ids to ask about: each costs a call.
_ASKED_FOR = 3
_COMMON = RequestFields.__optional_keys__ - {"titles"}


def run(options: argparse.Namespace) -> int:
    """Ask, print, and return the exit status: 0 answered, 1 failed or unhealthy.

    With --fleet, 0 means that every retriever answered and that all serve the same version.

    Raises:
        CallError: the call failed.
        ServiceRefusedError: the service refused the request.
        RetrieverError: a file of requests can't be read.
        HostingError: certificates or tokens can't be used, or flags can't be together.
    """
    _check(options)
    if options.command == "status" and options.fleet:
        return _ask_fleet(options)
    security = client_flags.client_security(options)
    seconds = options.timeout
    try:
        with RetrieverClient(
            options.target, connections=1, timeout_seconds=seconds, security=security
        ) as client:
            return _run(client, options)
    except CallError as error:
        if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        details = refusals.in_flags(error.details, error.field, options)
        raise ServiceRefusedError(f"{error.target}: {details}", error.field) from error


def _check(options: argparse.Namespace) -> None:
    """Refuse flags that would have no effect beside the others. Raises FlagError."""
    given = vars(options)
    if given.get("exact") and given["search_effort"] is not None:
        raise FlagError("give --exact or --search-effort, not both: --exact scores every item")
    if isinstance(given.get("max_pages"), PageCount) and not given["all_pages"]:
        raise FlagError("--max-pages is for --all-pages: give both, or leave --max-pages out")


def _ask_fleet(options: argparse.Namespace) -> int:
    security = client_flags.client_security(options)
    fleet = ask_all(options.fleet, security, timeout_seconds=options.timeout)
    if options.json:
        print_json(fleet_content(fleet))
    else:
        print_fleet(fleet)
    return int(fleet.version is None)


def _run(client: RetrieverClient, options: argparse.Namespace) -> int:
    match options.command:
        case "status":
            status = client.status()
            if options.json:
                print_json(content(status))
            else:
                print_status(status)
            return 0
        case "health":
            return _probe(client, options)
        case "batch-recommend" | "batch-similar-items":
            return batches.run(client, options)
    for number, answer in enumerate(_answers(client, options)):
        if options.json:
            # One page is one document. Several pages are one line each.
            indent = None if options.all_pages else 2
            print_json(asdict(answer), indent=indent)
        else:
            if number:
                print()
            print_answer(answer, attributes=options.attributes, explain=options.explain)
            for meant in _what_was_meant(client, answer.unknown_ids[:_ASKED_FOR], options):
                print(meant)
    return 0


def _what_was_meant(
    client: RetrieverClient, unknown: Iterable[str], options: argparse.Namespace
) -> Iterator[str]:
    """Yield the service's hint for each unknown id that has another spelling."""
    for one in unknown:
        try:
            if one in (vars(options).get("features") or ()):
                client.recommend(features=[one], limit=1)
            elif one == vars(options).get("user_id"):
                client.recommend(one, limit=1)
            else:
                client.similar_items(one, limit=1)
        except CallError as error:
            if "did you mean" in error.details:
                yield error.details


def _answers(client: RetrieverClient, options: argparse.Namespace) -> Iterable[Answer]:
    subject: dict[str, Any]
    if options.command == "recommend":
        subject = {
            "user_id": options.user_id,
            "session": _items(options.session),
            "features": options.features,
            # The service has the default.
            "exclude_seen": False if options.include_seen else None,
        }
    else:
        items = [*((item_id, None) for item_id in options.item_ids), *(options.weighted or ())]
        alone = len(items) == 1 and items[0][1] is None
        subject = {"item_id": items[0][0]} if alone else {"items": _items(items)}
    # The flags have the names of the client's arguments.
    asked = {name: vars(options)[name] for name in _COMMON} | {"titles": True, **subject}
    method = options.command.replace("-", "_")
    if not options.all_pages:
        return [getattr(client, method)(**asked)]
    return islice(getattr(client, f"{method}_pages")(**asked), options.max_pages)


def _items(given: Any) -> Items | None:
    """Return items with their weights, or ids alone if no weight was given."""
    if given is None:
        return None
    if all(weight is None for _, weight in given):
        return [item_id for item_id, _ in given]
    weights: dict[str, float] = {}
    for item_id, weight in given:
        weights[item_id] = weights.get(item_id, 0.0) + (1.0 if weight is None else weight)
    return weights


def _probe(client: RetrieverClient, options: argparse.Namespace) -> int:
    serving = client.is_serving()
    healthy = serving or options.liveness
    if options.json:
        print_json({"healthy": healthy, "serving": serving}, indent=None)
    else:
        print(f"{'healthy' if healthy else 'unhealthy'}: {'serving' if serving else 'not serving'}")
    return int(not healthy)
