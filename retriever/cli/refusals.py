"""Names the flags of a command line in a service's refusal, where the service names fields."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import NamedTuple

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.calling import client_flags
from retriever.asking.conditions import TextCondition
from retriever.cli.flag_values import Listed, Weighted

_USE = re.compile(r"\b(any_of|all_of|none_of|range)\b")
_FIELD = re.compile(r"(?P<name>[a-z_]+)(\.(?P<part>[a-z_]+))?(\[(?P<place>\d+)\])?")


class _Given(NamedTuple):
    """An item of a request, and the flag or argument that gave it."""

    flag: str
    item_id: str


def in_flags(details: str, field: str, options: argparse.Namespace) -> str:
    """Name the flag, and not the field, in a service's refusal.

    Args:
        details: the service's text, which begins with the field.
        field: the refused field.
        options: the refused command line.
    """
    names = dict(options.names)
    names |= {"return_attribute_names": names.get("attributes", "--attributes")}
    head, colon, why = details.partition(": ")
    if place := re.match(r"filter\.conditions\[(\d+)\]", field):
        asked = options.filter[int(place[1])]
        test = asked.test.replace("_", "-") if isinstance(asked, TextCondition) else "range"
        names["filter"] = f"--{test}"
        # Change only the advice: the text before it may have the caller's own words.
        before, use, advice = why.rpartition(": use ")
        advice = _USE.sub(lambda found: f"--{found[0].replace('_', '-')}", advice)
        why = f"{before}{use}{advice}" if use else why
    elif field == "page_token":
        why = why.replace(
            "set the next_page_token of an answer", "give the token that --paginate shows"
        )
        return f"{names[field]} {why}"
    elif (found := _FIELD.fullmatch(field)) and (items := list(_items(found["name"], options))):
        number = int(found["place"] or 0)
        # A field with a place beyond the items is the service's mistake.
        one = items[number if number < len(items) else 0]
        names[found["name"]] = one.flag
        names.pop(found["part"] or "", None)
        if found["part"] == "weights":
            of = f"the weight of {words.brief(one.item_id)}" if found["place"] else "the weights"
            return f"{one.flag}: {of} {why}"
    return client_flags.refusal(f"{head}{colon}{why}", names)


def _items(name: str, options: argparse.Namespace) -> Iterator[_Given]:
    """Yield the items of a field of the request, in its order; nothing for a field without items."""
    given = vars(options)
    if name == "exclude_item_ids":
        for one in given[name]:
            yield _Given("--exclude" if isinstance(one, Listed) else "--exclude-item", one)
    elif name == "session":
        for one in _sent(given[name] or []):
            yield _Given("--session" if isinstance(one, Listed) else "--session-item", one)
    elif name in ("item_id", "items"):
        alone: Weighted = [(item_id, None) for item_id in given["item_ids"]]
        for place, one in enumerate(_sent([*alone, *(given["weighted"] or [])])):
            is_alone = place < len(alone) and one in given["item_ids"]
            yield _Given(options.names["item_ids"] if is_alone else "--item", one)


def _sent(items: Weighted) -> list[str]:
    """Return the ids in the order of the request. With weights, it has each id once."""
    ids = [item_id for item_id, _ in items]
    return ids if all(weight is None for _, weight in items) else [*dict.fromkeys(ids)]
