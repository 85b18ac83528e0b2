"""Conditions on items' attributes, and what an answer says of those that nothing fulfils."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

MAX_CONDITIONS = 32
MAX_VALUES = 1000


@dataclass(frozen=True)
class ValueCondition:
    """What one attribute must be like: `any`, `all` or `none` of the values."""

    attribute: str
    kind: Literal["any", "all", "none"]
    values: Sequence[str]


@dataclass(frozen=True)
class NumberCondition:
    """The number that one attribute must be: min <= number <= max."""

    attribute: str
    min: float = -math.inf
    max: float = math.inf


AnyCondition: TypeAlias = ValueCondition | NumberCondition


@dataclass(frozen=True)
class UnknownValue:
    """A value of a condition that no item has.

    Attributes:
        attribute: its attribute.
        value: as asked.
        near: values that items have and that may have been meant, the nearest first.
    """

    attribute: str
    value: str
    near: Sequence[str]


@dataclass(frozen=True)
class EmptyRange:
    """A range that no number is in; they run from `least` to `greatest`, None where there are none."""

    attribute: str
    least: float | None
    greatest: float | None
