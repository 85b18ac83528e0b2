"""Filters on attributes of items: conditions that are looked up in one version.

A filter works in two ways. Posting lists (value -> items) give all matching items, for exact search.
The values of an item tell whether a candidate of an index matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.attributes import Attributes
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.storage.ragged import are_among
from retriever.answering.near_misses import in_words, near_misses, near_names
from retriever.answering.questions import AnyCondition, NumberCondition, ValueCondition
from retriever.errors import InvalidArgumentError

# Above this share of all items, a mask is faster than looking at the values of each row.
_MASK_SHARE = 1 / 16
# Up to this many posting lists, searching the lists is faster than reading the values of the rows.
_FEW_LISTS = 8
# How many unknown values an answer lists, and for how many of them it suggests known values.
_NAMED = 10
_LOOKED_FOR = 3
_NO_ROWS: NDArray[np.int32] = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class UnknownValue:
    """A value of a condition that no item has, and known values that may be meant, nearest first."""

    attribute: str
    value: str
    near: Sequence[str]


@dataclass(frozen=True)
class EmptyRange:
    """A range that contains no item's number; `least` and `greatest` are the ends of all numbers."""

    attribute: str
    least: float | None
    greatest: float | None


class Filter:
    """Conditions that an item must all meet, looked up in a version of `items` items.

    Attributes:
        most: an upper bound of the number of matching items.
        unknown_values: values that no item has, in the order of the conditions, at most 10.
        empty_ranges: ranges that contain no item's number, in the order of the conditions.
    """

    def __init__(
        self,
        tests: Sequence[_ValuesTest | _RangeTest],
        items: int,
        unknown_values: Sequence[UnknownValue],
        empty_ranges: Sequence[EmptyRange],
    ) -> None:
        # The most selective one first.
        self._tests = sorted(tests, key=lambda test: test.most)
        self._items = items
        self.most = self._tests[0].most
        self.unknown_values = unknown_values
        self.empty_ranges = empty_ranges

    def rows(self) -> Rows:
        """Return all matching rows, ascending."""
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
        """Return for each row whether it matches."""
        matching = self._tests[0].matches(rows)
        for test in self._tests[1:]:
            matching &= test.matches(rows)
        return matching


def look_up(conditions: Sequence[AnyCondition], attributes: Attributes | None, items: int) -> Filter:
    """Look up conditions in one version. Raises InvalidArgumentError if one doesn't fit."""
    tests: list[_ValuesTest | _RangeTest] = []
    unknown: dict[tuple[int, str], None] = {}
    empty: list[EmptyRange] = []
    for place, condition in enumerate(conditions):
        field = f"filter.conditions[{place}]"
        if attributes is None or (position := attributes.position(condition.attribute)) is None:
            raise _no_attribute(f"{field}.attribute", condition.attribute, attributes)
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
        unknown.update(dict.fromkeys((position, value) for value in of_values.unknown))
    named: list[UnknownValue] = []
    for position, value in islice(unknown, _NAMED):
        assert attributes is not None  # noqa: S101 - a condition was looked up in them
        values, prefix = attributes.values_of(position)
        near = near_misses(value, values, prefix=prefix) if len(named) < _LOOKED_FOR else ()
        named.append(UnknownValue(attributes.facts[position].name, value, near))
    return Filter(tests, items, named, empty)


def _no_attribute(field: str, name: str, attributes: Attributes | None) -> InvalidArgumentError:
    facts = () if attributes is None else attributes.facts
    known = ", ".join(f"{one.name} ({one.kind})" for one in facts)
    known = known or "none, because the version was published without attributes"
    near = in_words(near_names(name, [one.name for one in facts]))
    return InvalidArgumentError(field, f"{name[:64]!r} isn't an attribute{near}; known: {known}")


class _ValuesTest:
    """A condition on texts, looked up in a version. `most` bounds the number of matching items."""

    def __init__(
        self, condition: ValueCondition, attributes: Attributes, position: int, items: int
    ) -> None:
        self._kind = condition.kind
        self._attributes = attributes
        self._items = items
        tokens_of = {value: attributes.token(position, value) for value in condition.values}
        self.unknown = [value for value, token in tokens_of.items() if token is None]
        tokens = sorted({token for token in tokens_of.values() if token is not None})
        self._tokens = np.array(tokens, dtype=np.int32)
        self._lists = [attributes.items_with(token) for token in tokens]
        if self.unknown and self._kind == "all":
            # No item has all values if no item has one of them.
            self._lists = [_NO_ROWS]
        sizes = [len(rows) for rows in self._lists]
        if self._kind == "any":
            self.most = min(items, sum(sizes))
        else:
            self.most = min(sizes) if self._kind == "all" else items - max(sizes, default=0)

    def rows(self) -> Rows:
        if self._kind == "all":
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
        if len(self._lists) <= _FEW_LISTS:
            return self._are_listed(rows)
        of_items = self._attributes.tokens
        starts = of_items.offsets[rows]
        lengths = of_items.offsets[rows + 1] - starts
        # The tokens of all rows one after another, and for each token the place of its row.
        owners = np.repeat(np.arange(len(rows)), lengths)
        before = np.cumsum(lengths) - lengths
        tokens = of_items.values[np.arange(len(owners)) + (starts - before)[owners]]
        counts: NDArray[np.int64] = np.bincount(
            owners[np.isin(tokens, self._tokens)], minlength=len(rows)
        )
        matching: NDArray[np.bool_] = counts == (len(self._tokens) if self._kind == "all" else 0)
        return ~matching if self._kind == "any" else matching

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
    """A condition on numbers, looked up in a version."""

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
        # Items without a value have NaN, which is sorted after all numbers, even after infinity.
        first = int(ordered.searchsorted(condition.min, side="left"))
        last = int(ordered.searchsorted(condition.max, side="right"))
        self._rows = order[first:last]
        self.most = len(self._rows)

    def ends(self) -> tuple[float | None, float | None]:
        """Return the smallest and the largest number of all items, None if no item has one."""
        with_value = int(self._ordered.searchsorted(np.inf, side="right"))
        if not with_value:
            return None, None
        return float(self._ordered[0]), float(self._ordered[with_value - 1])

    def rows(self) -> Rows:
        return np.sort(self._rows).astype(np.int64)

    def matches(self, rows: Rows) -> NDArray[np.bool_]:
        values = self._values[rows]
        return (values >= self._condition.min) & (values <= self._condition.max)
