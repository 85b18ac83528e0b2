"""What users set: type, range, default and words of an option, once, on the field that holds it.

    epochs: Annotated[int, Option("passes over the interactions", ge=1, le=10_000)] = 20

Flags, the environment, files of settings, checks and the documents' tables are made of it; see
`settings.option_flags`. A message of protobuf has a field of the same name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, fields, replace
from functools import cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

Refusal = Callable[[str, Any, str], Exception]
"""Makes an error of a flag, its value and the expected value."""


@dataclass(frozen=True)
class Option:
    """The range and the help of a field.

    Attributes:
        help: what its flag's help says of it.
        ge, gt, le, lt: its range; `le` may name another field.
        choices: what it takes else.
        offered: what its flag takes, where it is for who uses it to check.
        expected: what it should be, in other words than the range has.
        flag: its name on the command line, where that isn't the field's.
        group: of flags that it is shown in, where that isn't its dataclass' own.
        metavar: what its help calls the value.
        read: makes the value of a flag's text, where the field's type doesn't tell how.
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
        """Say the right values; None if the value is right."""
        if self.choices:
            right = value in self.choices
        else:
            # Each is false of NaN.
            right = (
                (self.ge is None or value >= self.ge)
                and (self.gt is None or value > self.gt)
                and (self.le is None or value <= self.le)
                and (self.lt is None or value < self.lt)
            )
        return None if right else self.expected or self.told()

    def check(self, flag: str, value: Any, refusal: Refusal) -> None:
        """Raise the refusal of a value that isn't right."""
        if (expected := self.problem(value)) is not None:
            raise refusal(flag, value, expected)

    def told(self) -> str:
        """The range in words; "" where there is none."""
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
        kind: its type; None aside, where it may be left out.
        default: MISSING where something has to be given.
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
        """Its name in parsed flags and in a file; in capitals, in a variable."""
        return self.flag.removeprefix("--").replace("-", "_")


@cache
def declared(of: Any) -> dict[str, Declared]:
    """The fields of a dataclass that have options, in order, by name."""
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
    """Read names between commas; there may be no name."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(value: Any) -> str:
    return "2^31-1" if value == 2**31 - 1 else str(value)
