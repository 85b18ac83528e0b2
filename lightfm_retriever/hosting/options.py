"""Declare an option once, on the field that holds it: its type, range, default and help.

    epochs: Annotated[int, Option("passes over the interactions", ge=1, le=10_000)] = 20

Flags, environment variables, TOML files, checks and the tables of settings follow from it; see
`settings.option_flags`. A protobuf message has a field of the same name.
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, fields, replace
from functools import cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

Refusal = Callable[[str, Any, str], Exception]
"""Makes an error from a flag, its value and the expected value."""


@dataclass(frozen=True)
class Option:
    """The range and the help of a field.

    Attributes:
        help: the text in the help of its flag.
        ge, gt, le, lt: the range; `le` may name another field.
        choices: the allowed values, in place of a range.
        offered: the choices of the flag, if other code checks the value.
        expected: a description of the expected value, in place of the range.
        flag: its name on the command line, if it differs from the field's.
        group: the group of flags that shows it, if it differs from the dataclass's.
        metavar: the name of the value in the help.
        read: converts the flag's text, if the field's type isn't enough.
        repeated: whether the flag may be given several times, once for each value.
    """

    help: str = ""
    _: KW_ONLY
    ge: float | None = None
    gt: float | None = None
    le: float | str | None = None
    lt: float | None = None
    choices: Sequence[str] = ()
    offered: Sequence[str] = ()
    expected: str = ""
    flag: str = ""
    group: str = ""
    metavar: str | tuple[str, ...] | None = None
    read: Callable[[str], Any] | None = None
    repeated: bool = False

    def problem(self, value: Any) -> str | None:
        """Describe the expected value; None if the value is right."""
        if self.choices:
            right = value in self.choices
        else:
            # Comparisons with NaN are false.
            right = (
                (self.ge is None or value >= self.ge)
                and (self.gt is None or value > self.gt)
                and (self.le is None or value <= self.le)
                and (self.lt is None or value < self.lt)
            )
        return None if right else self.expected or self.told()

    def check(self, flag: str, value: Any, refusal: Refusal) -> None:
        """Raise the refusal of a wrong value."""
        if (expected := self.problem(value)) is not None:
            raise refusal(flag, value, expected)

    def told(self) -> str:
        """Describe the range; "" if there is none."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.ge is not None and self.le is not None:
            return f"in {_number(self.ge)}..{_number(self.le)}"
        if self.ge is not None and self.lt is not None and self.lt < math.inf:
            return f"from {_number(self.ge)} to below {_number(self.lt)}"
        parts = (("at least", self.ge), ("above", self.gt), ("at most", self.le), ("below", self.lt))
        return " and ".join(f"{w} {_number(end)}" for w, end in parts if end not in (None, math.inf))


@dataclass(frozen=True)
class Declared:
    """A field with an option.

    Attributes:
        kind: its type, without the None of a field that may be missing.
        default: MISSING if a value is required.
    """

    name: str
    option: Option
    kind: Any
    default: Any

    @property
    def flag(self) -> str:
        """Its flag."""
        return f"--{(self.option.flag or self.name).replace('_', '-')}"

    @property
    def dest(self) -> str:
        """Its name in parsed flags and in a file. A variable has it in capitals."""
        return self.flag.removeprefix("--").replace("-", "_")


@cache
def declared(of: Any) -> dict[str, Declared]:
    """Return the options of a dataclass, by field, in order."""
    hints = get_type_hints(of, include_extras=True)
    found = {}
    for own in fields(of):
        if get_origin(hint := hints[own.name]) is not Annotated:
            continue
        kind, *notes = get_args(hint)
        option = next((note for note in notes if isinstance(note, Option)), None)
        if option is None:
            continue
        if NoneType in get_args(kind):
            [kind] = [one for one in get_args(kind) if one is not NoneType]
        default = own.default if own.default_factory is MISSING else own.default_factory()
        found[own.name] = Declared(own.name, option, kind, default)
    return found


def check(spec: Any, refusal: Refusal) -> None:
    """Raise the refusal of the first field of a dataclass that is out of range."""
    kind: Any = type(spec)
    for name, own in declared(kind).items():
        value, option = getattr(spec, name), own.option
        if value is None and own.default is None:
            continue
        if isinstance(option.le, str):
            option = replace(option, le=getattr(spec, option.le))
        option.check(own.flag, value, refusal)


def names(text: str) -> list[str]:
    """Split a text at its commas into names; there may be no name."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(text: str, *, example: str) -> dict[str, float]:
    """Split a text such as "view=1,purchase=5" into numbers by name.

    Raises:
        ArgumentTypeError: a part isn't NAME=NUMBER; the message has the example.
    """
    found = {}
    for part in names(text):
        name, equals, number = part.rpartition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise ArgumentTypeError(f"{part!r} should be NAME=NUMBER, such as {example}")
    return found


def _number(value: Any) -> str:
    return "2^31-1" if value == 2**31 - 1 else str(value)
