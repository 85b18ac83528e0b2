"""Reads the texts of flags, and raises ArgumentTypeError for a wrong text. Needs no gRPC."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.addresses import AddressError, joined, parse_one
from retriever.asking.conditions import RangeCondition, TextCondition

Weighted = list[tuple[str, float | None]]
"""Ids, each with its weight or None."""


class Listed(str):
    """An id from a flag that takes several: --exclude, not --exclude-item. An error names the flag."""

    __slots__ = ()


class PageCount(int):
    """A number of pages that the command line has. The default is a plain number."""

    __slots__ = ()


def _refuse(text: str, form: str, example: str) -> NoReturn:
    raise argparse.ArgumentTypeError(f"{words.brief(text)} should be {form}, such as {example}")


def weighted_item(text: str) -> tuple[str, float | None]:
    """Read an id, and the weight after a = if there is one."""
    item_id, equals, weight = text.rpartition("=")
    if not equals:
        return text, None
    try:
        return item_id, float(weight)
    except ValueError:
        _refuse(text, "ID or ID=WEIGHT", "50=2 (an id with = needs its weight: a=b=1)")


def session(text: str) -> Weighted:
    """Read ids between commas, each with a weight after a : if it has one."""
    items: Weighted = []
    for item in text.split(","):
        item_id, colon, weight = item.rpartition(":")
        try:
            given = (item_id, float(weight)) if colon else (item, None)
            items.append((Listed(given[0]), given[1]))
        except ValueError:
            items.append(("", None))
    if not all(item_id for item_id, _ in items):
        _refuse(text, "ID[:WEIGHT],...", "50,181:2 (--session-item for ids with commas or colons)")
    return items


def text_condition(test: Any) -> Callable[[str], TextCondition]:
    """Make a reader of NAME=VALUE|VALUE as a condition: "any_of", "all_of" or "none_of"."""

    def condition(text: str) -> TextCondition:
        attribute, _, values = text.partition("=")
        # A | after a backslash belongs to the value.
        made = [value.replace("\\|", "|") for value in re.split(r"(?<!\\)\|", values)]
        if not (attribute and all(made)):
            _refuse(text, "NAME=VALUE or NAME=VALUE|VALUE", "'genres=Drama|War'")
        return TextCondition(attribute, test, tuple(made))

    return condition


def range_condition(text: str) -> RangeCondition:
    """Read NAME=MIN..MAX, where either end may be missing."""
    attribute, _, ends = text.partition("=")
    low, dots, high = ends.partition("..")
    try:
        condition = RangeCondition(
            attribute, float(low) if low else None, float(high) if high else None
        )
    except ValueError:
        dots = ""
    if not (attribute and dots and (low or high)):
        _refuse(text, "NAME=MIN..MAX", "release_year=1990..1999, release_year=1990.. or ..1999")
    return condition


def separated(form: str, example: str) -> Callable[[str], list[str]]:
    """Make a reader of texts between commas; no text may be empty."""

    def read(text: str) -> list[str]:
        found = text.split(",")
        return [*map(Listed, found)] if all(found) else _refuse(text, form, example)

    return read


def addresses(text: str) -> list[str]:
    """Read the addresses of several retrievers, and spell each in the same form."""
    found: list[str] = []
    for one in text.split(","):
        try:
            host, port = parse_one(one)
        except AddressError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        address = joined(host.lower(), port)
        if address in found:
            raise argparse.ArgumentTypeError(f"{address} is named twice: leave one out")
        found.append(address)
    return found


def within(of: type[int | float], least: float, most: float) -> Callable[[str], float]:
    """Make a reader of numbers in a range that includes both ends."""
    what = "a whole number" if of is int else "a number"

    def read(text: str) -> float:
        try:
            # Python refuses numbers of thousands of digits.
            value = of(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            expected = f"{what} in {least:g}..{most:g}"
            raise argparse.ArgumentTypeError(f"{words.brief(text)} should be {expected}")
        return value

    return read


def page_count(text: str) -> PageCount:
    """Read a number of 1 or more, with at most 9 digits."""
    if not (re.fullmatch("[0-9]{1,9}", text) and int(text)):
        _refuse(text, "a number in 1..999999999", "5")
    return PageCount(text)
