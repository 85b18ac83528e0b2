"""Filters on items' attributes: conditions, and the same looked up in one publication.

A condition is answered from either side. Posting lists (value -> items) give all items that match, for
exact search among them; an item's own values tell whether a candidate of an index matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.attributes import Attributes
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.storage.ragged import are_among
from retriever.answering.conditions import (
    AnyCondition,
    EmptyRange,
    NumberCondition,
    UnknownValue,
    ValueCondition,
)
from retriever.answering.near_misses import in_words, near_misses, near_names
from retriever.errors import InvalidArgumentError

# Beyond this share of the catalogue, a mask of it costs less than looking at each row's own values.
_MASK_SHARE = 1 / 16

# Up to so many posting lists it takes less time to search them than to read the rows' own values.
_FEW_LISTS = 8


# Of the values that no item has: how many are named, and for how many of them what may be meant.
MAX_NAMED = 10
_LOOKED_FOR = 3


class Test(Protocol):
    """One condition, looked up in a publication.

    Attributes:
        most: how many items match at most, >= 0.
    """

    most: int

    def rows(self) -> Rows:
        """All rows that match, ascending."""
        ...

    def matches(self, rows: Rows) -> NDArray[np.bool_]:
        """For each of some rows whether it matches."""
        ...


class Filter:
    """Conditions that must all hold, looked up in a publication of `items` items.

    Attributes:
        unknown_values: values that no item has, in the order of the conditions, at most MAX_NAMED.
        empty_ranges: ranges that no item's number is in, in that order.
    """

    def __init__(
        self,
        tests: Sequence[Test],
        items: int,
        *,
        unknown_values: Sequence[UnknownValue] = (),
        empty_ranges: Sequence[EmptyRange] = (),
    ) -> None:
        self.unknown_values = unknown_values
        self.empty_ranges = empty_ranges
        # The most selective one first.
        self._tests = sorted(tests, key=lambda test: test.most)
        self._items = items
        self.most = self._tests[0].most

    def rows(self) -> Rows:
        """All rows that match, ascending."""
        first, *others = self._tests
        rows = first.rows()
        for test in others:
            if len(rows) > self._items * _MASK_SHARE:
                mask = np.zeros(self._items, dtype=bool)
                mask[test.rows()] = True
                rows = rows[mask[rows]]
            else:
                rows = rows[test.matches(rows)]
        return rows

    def matches(self, rows: Rows) -> NDArray[np.bool_]:
        """For each of some rows whether it matches."""
        matching = self._tests[0].matches(rows)
        for test in self._tests[1:]:
            matching &= test.matches(rows)
        return matching


def look_up(conditions: Sequence[AnyCondition], attributes: Attributes | None, items: int) -> Filter:
    """The conditions in one publication.

    Raises:
        InvalidArgumentError: an attribute is unknown, or a condition isn't of its kind.
    """
    tests: list[Test] = []
    unknown: list[tuple[int, str]] = []
    empty: list[EmptyRange] = []
    for place, condition in enumerate(conditions):
        field = f"filter.conditions[{place}]"
        position = None if attributes is None else attributes.position(condition.attribute)
        if attributes is None or position is None:
            near = near_attributes(condition.attribute, attributes)
            raise InvalidArgumentError(
                f"{field}.attribute",
                f"{condition.attribute[:64]!r} isn't an attribute{in_words(near)}; "
                f"known: {known(attributes)}",
            )
        kind = attributes.kind(position)
        if isinstance(condition, NumberCondition):
            if kind != "number":
                raise InvalidArgumentError(
                    f"{field}.range", f"{condition.attribute!r} is text: use any_of, all_of or none_of"
                )
            in_range = _RangeTest(condition, *attributes.number_index(position))
            tests.append(in_range)
            if not in_range.most:
                empty.append(EmptyRange(condition.attribute, *in_range.ends()))
            continue
        if kind != "text":
            raise InvalidArgumentError(
                f"{field}.{condition.kind}_of", f"{condition.attribute!r} is a number: use range"
            )
        of_values = _ValuesTest(condition, attributes, position, items)
        tests.append(of_values)
        unknown += [(position, value) for value in of_values.unknown]
    unknown_values = _unknown_values(attributes, unknown) if unknown else ()
    return Filter(tests, items, unknown_values=unknown_values, empty_ranges=empty)


def _unknown_values(
    attributes: Attributes | None, unknown: Sequence[tuple[int, str]]
) -> Sequence[UnknownValue]:
    assert attributes is not None  # noqa: S101 - a condition was looked up in them
    return [
        UnknownValue(
            attributes.facts[position].name,
            value,
            near_values(attributes, position, value) if place < _LOOKED_FOR else (),
        )
        for place, (position, value) in enumerate(dict.fromkeys(unknown))
        if place < MAX_NAMED
    ]


def near_values(attributes: Attributes, position: int, value: str) -> Sequence[str]:
    """Values of a text attribute that may have been meant by one that no item has."""
    values, prefix = attributes.values_of(position)
    return near_misses(value, values, prefix=prefix)


def near_attributes(name: str, attributes: Attributes | None) -> Sequence[str]:
    """Attributes that may have been meant by a name that is none's."""
    return near_names(name, [] if attributes is None else [facts.name for facts in attributes.facts])


def known(attributes: Attributes | None) -> str:
    """The attributes that there are, for messages."""
    if attributes is None or not attributes.facts:
        return "none, since the version was published without attributes"
    return ", ".join(f"{facts.name} ({facts.kind})" for facts in attributes.facts)


class _ValuesTest:
    def __init__(
        self, condition: ValueCondition, attributes: Attributes, position: int, items: int
    ) -> None:
        self._kind = condition.kind
        self._attributes = attributes
        self._items = items
        tokens_of = {value: attributes.token(position, value) for value in condition.values}
        self.unknown = [value for value, token in tokens_of.items() if token is None]
        found = set(tokens_of.values())
        # A value that no item has; its items are none.
        self._impossible = None in found and self._kind == "all"
        tokens = sorted(token for token in found if token is not None)
        self._tokens = np.array(tokens, dtype=np.int32)
        self._lists = [attributes.items_with(token) for token in tokens]
        self.most = self._most([len(rows) for rows in self._lists])

    def _most(self, sizes: Sequence[int]) -> int:
        if self._kind == "any":
            return min(self._items, sum(sizes))
        if self._kind == "all":
            return 0 if self._impossible else min(sizes)
        return self._items - max(sizes, default=0)

    def rows(self) -> Rows:
        if self._kind == "all":
            if self._impossible:
                return np.empty(0, dtype=np.int64)
            first, *others = sorted(self._lists, key=len)
            for other in others:
                first = first[are_among(first, other)]
            return first.astype(np.int64)
        if self._kind == "any" and len(self._lists) == 1:
            return self._lists[0].astype(np.int64)
        mask = np.full(self._items, self._kind == "none")
        for rows in self._lists:
            mask[rows] = self._kind == "any"
        return np.flatnonzero(mask)

    def matches(self, rows: Rows) -> NDArray[np.bool_]:
        if self._impossible:
            return np.zeros(len(rows), dtype=bool)
        if len(self._lists) <= _FEW_LISTS:
            return self._are_listed(rows)
        of_items = self._attributes.tokens
        starts = of_items.offsets[rows]
        lengths = of_items.offsets[rows + 1] - starts
        # The tokens of all rows one after another, and for each the place of its row.
        owners = np.repeat(np.arange(len(rows)), lengths)
        before = np.cumsum(lengths) - lengths
        tokens = of_items.values[np.arange(len(owners)) + (starts - before)[owners]]
        counts: NDArray[np.int64] = np.bincount(
            owners[np.isin(tokens, self._tokens)], minlength=len(rows)
        )
        matching: NDArray[np.bool_]
        if self._kind == "any":
            matching = counts > 0
        else:
            matching = counts == (len(self._tokens) if self._kind == "all" else 0)
        return matching

    def _are_listed(self, rows: Rows) -> NDArray[np.bool_]:
        matching = np.full(len(rows), self._kind != "any")
        for listed in self._lists:
            found = are_among(rows, listed)
            if self._kind == "any":
                matching |= found
            else:
                matching &= found if self._kind == "all" else ~found
        return matching


class _RangeTest:
    def __init__(
        self,
        condition: NumberCondition,
        values: NDArray[np.float64],
        order: NDArray[np.int32],
        ordered: NDArray[np.float64],
    ) -> None:
        self._condition = condition
        self._values = values
        self._ordered = ordered
        # NaN, for items without a value, is behind all numbers, infinity too.
        first = int(ordered.searchsorted(condition.min, side="left"))
        last = int(ordered.searchsorted(condition.max, side="right"))
        self._rows = order[first:last]
        self.most = len(self._rows)

    def ends(self) -> tuple[float | None, float | None]:
        """The least and the greatest number that items have, None for none."""
        with_value = int(self._ordered.searchsorted(np.inf, side="right"))
        if not with_value:
            return None, None
        return float(self._ordered[0]), float(self._ordered[with_value - 1])

    def rows(self) -> Rows:
        return np.sort(self._rows).astype(np.int64)

    def matches(self, rows: Rows) -> NDArray[np.bool_]:
        values = self._values[rows]
        inside: NDArray[np.bool_] = (values >= self._condition.min) & (values <= self._condition.max)
        return inside
