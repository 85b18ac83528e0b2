"""How the attributes of items changed from one version to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.promotion.content import Content, Value

_COMPARED = 5_000
# Of the items that had an attribute, or of their values, fewer are worth a word, or a stop.
_MOST = 0.9
_HALF = 0.5
_FEW_VALUES = 0.7
_HARDLY_ANY = 0.25
# Values of an item, on average, of a column of several.
_SEVERAL = 1.3
# Prices change by some per cent. Other columns, other units and other items' prices differ by more.
_OTHER_SIZE = math.log(1.5)


@dataclass(frozen=True)
class AttributeChange:
    """One attribute of the items that two versions have in common.

    Attributes:
        name: of the attribute.
        items: how many are in common.
        had, has: how many of these items had it, and how many of those have it now.
        values, kept: how many values these had, and how many of those are still there; of text only.
        values_now: how many they have now.
        sizes: of how many numbers by what factor the middle one differs, up or down; 1 for none.
        example: an item's value before and now.
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
        """What would ruin filters by it; empty for nothing.

        What few items have, such as a discount, ends; and seasons and badges change.
        """
        if self.had >= _HALF * self.items and self.has < _HALF * self.had:
            return f"only {self.has:,} of {self.had:,} items that had {self.name!r} have it now"
        joined = self.values >= _SEVERAL * self.has and self.values_now < self.values / _SEVERAL
        if joined and self.kept < _HARDLY_ANY * self.values:
            return (
                f"only {self.kept:,} of {self.values:,} values of {self.name!r} are still there, and "
                f"items have one where they had several{self.example}"
            )
        return ""

    def warning(self, version: str) -> str:
        """What is odd about it, but passes; empty for nothing."""
        if self.problem:
            return ""
        if self.has < _MOST * self.had:
            which = f"items that have attribute {self.name!r} in version {version} have it now"
            return f"only {self.has:,} of {self.had:,} {which}"
        if self.kept < _FEW_VALUES * self.values:
            return (
                f"only {self.kept:,} of {self.values:,} values of attribute {self.name!r} that items "
                f"have in version {version} are still there{self.example}"
            )
        if abs(math.log(self.sizes)) > _OTHER_SIZE:
            return (
                f"attribute {self.name!r} of most items differs from that of version {version}, by a "
                f"factor of {self.sizes:.3g} in the middle{self.example}: is it of another unit, or of "
                "other items?"
            )
        return ""


def compare(name: str, before: Content, now: Content, random: np.random.Generator) -> AttributeChange:
    """Compare an attribute of some items that both have; it is of the same kind in both."""
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
            example = f", as of item {external_id!r} {_shown(old)}, which is {_shown(new)} now"
        if isinstance(old, float) and isinstance(new, float):
            factors.append(_factor(old, new))
        elif not isinstance(old, float) and not isinstance(new, float):
            values += len(old or ())
            kept += sum(value in (new or ()) for value in old or ())
            values_now += len(new or ())
    sizes = float(np.median(factors)) if factors else 1.0
    return AttributeChange(name, items, had, has, values, kept, values_now, sizes, example)


def _factor(old: float, new: float) -> float:
    """By how much two numbers differ, 1 or more; large where one of them is 0 or of another sign."""
    if old == new:
        return 1.0
    if old * new <= 0:
        return 1e9
    return max(old / new, new / old)


def _is_none(value: Value) -> bool:
    return value is None or (not isinstance(value, float) and not len(value))


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else "|".join(value or ())[:60]
