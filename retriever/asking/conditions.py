"""Conditions on the attributes of items.

    [any_of("genres", "Drama", "War"), in_range("release_year", min=1990, max=1999)]

An item must meet all conditions of a list. This module doesn't depend on gRPC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lightfm_retriever.hosting import given
from lightfm_retriever.hosting.errors import ArgumentError

_NAME = "an attribute's name, such as 'genres'"
_TESTS = ("any_of", "all_of", "none_of")
_VALUES = "texts one by one, such as any_of('genres', 'Drama', 'War')"
_VALUE = f"{_VALUES}; numbers have in_range('release_year', min=1990)"
_END = "a number, such as 1990"


@given.named_fields
@dataclass(frozen=True)
class TextCondition:
    """Require values of a text attribute, such as "genres": any, all or none of `values`."""

    attribute: str
    test: Literal["any_of", "all_of", "none_of"]
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ArgumentError for a field of a wrong type or value."""
        given.text("attribute", self.attribute, _NAME)
        if not (isinstance(self.test, str) and self.test in _TESTS):
            raise ArgumentError("test", self.test, f"one of {', '.join(map(repr, _TESTS))}")
        values = given.texts("values", self.values, _VALUES, each=_VALUE)
        object.__setattr__(self, "values", values)


@given.named_fields
@dataclass(frozen=True)
class RangeCondition:
    """Require a number attribute, such as "release_year", to be in a range that includes both ends.

    None means no bound.
    """

    attribute: str
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        """Raise ArgumentError for a field of a wrong type or value."""
        given.text("attribute", self.attribute, _NAME)
        for name, value in (("min", self.min), ("max", self.max)):
            if value is not None:
                object.__setattr__(self, name, given.number(name, value, _END))


Condition: TypeAlias = TextCondition | RangeCondition


@given.named()
def any_of(attribute: str, *values: str) -> TextCondition:
    """Require at least one of these values."""
    return TextCondition(attribute, "any_of", values)


@given.named()
def all_of(attribute: str, *values: str) -> TextCondition:
    """Require all of these values."""
    return TextCondition(attribute, "all_of", values)


@given.named()
def none_of(attribute: str, *values: str) -> TextCondition:
    """Require that the item has none of these values. Items without any value pass."""
    return TextCondition(attribute, "none_of", values)


@given.named()
def in_range(
    attribute: str,
    *,
    min: float | None = None,  # noqa: A002 - the wire's names
    max: float | None = None,  # noqa: A002
) -> RangeCondition:
    """Require a number from `min` to `max`, both included. One of the two may be left out."""
    return RangeCondition(attribute, min, max)
