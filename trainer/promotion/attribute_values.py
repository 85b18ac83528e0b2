"""Compare the attributes of items in one version with those in the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.promotion.content import Content, Value

_COMPARED = 5_000
# A smaller share of the items that had an attribute, or of their values, warns or fails.
_MOST = 0.9
_HALF = 0.5
_FEW_VALUES = 0.7
_HARDLY_ANY = 0.25
# From this mean number of values per item on, a column is one of several values.
_SEVERAL = 1.3
# Prices change by a few per cent. Another column, another unit or swapped items change more.
_OTHER_SIZE = math.log(1.5)


@dataclass(frozen=True)
class AttributeChange:
    """The change of one attribute, over the items that two versions have in common.

    Attributes:
        name: of the attribute.
        items: the number of items in common.
        had, has: how many of these items had the attribute, and how many of those still have it.
        values, kept: for text, how many values those items had, and how many of these are left.
        values_now: for text, how many values those items have now.
        sizes: for numbers, the median factor (1 or more) between old and new value; 1 without any.
        example: the old and the new value of one item, as the end of a sentence.
    """

    name: str
    items: int
    had: int
    has: int
    values: int
    kept: int
    values_now: int
    sizes: float
    example: str

    @property
    def problem(self) -> str:
        """Describe a change that would break filters by this attribute; "" if there is none.

        Attributes of few items, such as discounts, end, and values such as seasons change. Such
        changes are no problem.
        """
        if self.had >= _HALF * self.items and self.has < _HALF * self.had:
            return f"only {self.has:,} of {self.had:,} items that had {self.name!r} have it now"
        joined = self.values >= _SEVERAL * self.has and self.values_now < self.values / _SEVERAL
        if joined and self.kept < _HARDLY_ANY * self.values:
            return (
                f"only {self.kept:,} of {self.values:,} values of {self.name!r} are left, and items "
                f"that had several values have one now{self.example}"
            )
        return ""

    def warning(self, version: str) -> str:
        """Describe a suspicious change that passes; "" if there is none."""
        if self.problem:
            return ""
        if self.has < _MOST * self.had:
            which = f"items that have attribute {self.name!r} in version {version} have it now"
            return f"only {self.has:,} of {self.had:,} {which}"
        if self.kept < _FEW_VALUES * self.values:
            return (
                f"only {self.kept:,} of {self.values:,} values of attribute {self.name!r} that items "
                f"have in version {version} are left{self.example}"
            )
        if abs(math.log(self.sizes)) > _OTHER_SIZE:
            return (
                f"attribute {self.name!r} of most items differs from version {version}, by a median "
                f"factor of {self.sizes:.3g}{self.example}: did the unit change, or were items swapped?"
            )
        return ""


def compare(name: str, before: Content, now: Content, random: np.random.Generator) -> AttributeChange:
    """Compare one attribute over a sample of the items in common; its kind is the same in both."""
    items = had = has = values = kept = values_now = 0
    factors: list[float] = []
    example = ""
    for row in random.permutation(len(before.items))[:_COMPARED].tolist():
        external_id = before.items.external_id(row)
        other = now.items.row(external_id)
        items += other is not None
        if other is None or _is_none(old := before.value(name, row)):
            continue
        had += 1
        if _is_none(new := now.value(name, other)):
            continue
        has += 1
        if not example and old != new:
            example = f" (item {external_id!r} had {_shown(old)} and has {_shown(new)} now)"
        if isinstance(old, float) and isinstance(new, float):
            factors.append(_factor(old, new))
        elif not isinstance(old, float) and not isinstance(new, float):
            values += len(old or ())
            kept += sum(value in (new or ()) for value in old or ())
            values_now += len(new or ())
    sizes = float(np.median(factors)) if factors else 1.0
    return AttributeChange(name, items, had, has, values, kept, values_now, sizes, example)


def _factor(old: float, new: float) -> float:
    """Return the factor between two numbers, 1 or more; 1e9 if one is 0 or the signs differ."""
    if old == new:
        return 1.0
    if old * new <= 0:
        return 1e9
    return max(old / new, new / old)


def _is_none(value: Value) -> bool:
    return value is None or (not isinstance(value, float) and not len(value))


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else "|".join(value or ())[:60]
