"""Read times in a form that the user names, such as 'd/m/Y H:M' or milliseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from trainer.errors import OptionError

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""The units of numbers since 1970, and how many of them are in a second."""
ISO = "iso"

_OPTION = "--date-format"
_LONGEST = 64
_DIRECTIVES = "aAbBdfHIjmMpSyYzZ"
_PLAIN_LETTERS = re.compile(f"(?<![a-zA-Z%])[{_DIRECTIVES}](?![a-zA-Z])")
_DIRECTIVE = re.compile("%(.)")
_DAYS = (("%Y", "%y"), ("%m", "%b", "%B"), ("%d",))
_EXPECTED = (
    f"one of {', '.join(UNITS)}, {ISO}, or a pattern with a year, month and day, such as 'd/m/Y H:M' "
    "or '%d/%m/%Y %H:%M'"
)


@dataclass(frozen=True)
class DateFormat:
    """A form of times.

    Attributes:
        per_second: for numbers since 1970, how many are in a second; None for text.
        pattern: of text, as datetime.strptime takes it; None for ISO 8601.
    """

    per_second: float | None = None
    pattern: str | None = None

    def seconds(self, text: str) -> float:
        """Return a text's seconds since 1970, in UTC without an offset; NaN for another form."""
        try:
            when = (
                datetime.fromisoformat(text)
                if self.pattern is None
                else datetime.strptime(text, self.pattern)  # noqa: DTZ007 - UTC is the next line's
            )
        except ValueError:
            return float("nan")
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def parse(text: str) -> DateFormat:
    """Read the value of --date-format; raises OptionError for one that names no day.

    Without any "%", each letter of a directive that stands alone is one: "d/m/Y" is "%d/%m/%Y".
    """
    if text in UNITS:
        return DateFormat(per_second=UNITS[text])
    if text == ISO:
        return DateFormat()
    pattern = text if "%" in text else _PLAIN_LETTERS.sub(r"%\g<0>", text)
    found = {f"%{letter}" for letter in _DIRECTIVE.findall(pattern)}
    known = {*(f"%{letter}" for letter in _DIRECTIVES), "%%"}
    has_day = all(found.intersection(part) for part in _DAYS) or {"%Y", "%j"} <= found
    if not has_day or not found <= known or len(text) > _LONGEST:
        raise OptionError(_OPTION, text, _EXPECTED)
    try:
        # strptime refuses some patterns only when it reads.
        datetime.strptime(datetime(2001, 2, 3, tzinfo=UTC).strftime(pattern), pattern)  # noqa: DTZ007
    except (ValueError, re.error) as error:
        raise OptionError(_OPTION, text, _EXPECTED) from error
    return DateFormat(pattern=pattern)


_ORDERS = (
    *("d/m/Y", "m/d/Y", "Y/m/d", "d.m.Y", "m.d.Y", "Y.m.d", "d-m-Y", "m-d-Y", "m d, Y", "Y m d"),
    *(
        "d/m/y",
        "m/d/y",
        "d.m.y",
        "d-m-y",
        "m-d-y",
        "d b Y",
        "d-b-Y",
        "b d, Y",
        "d B Y",
        "B d, Y",
        "d-b-y",
    ),
)
_CLOCKS = ("", " H:M", " H:M:S", " H:M:S.f", " I:M p", " I:M:S p")
PATTERNS = tuple(f"{order}{clock}" for order in _ORDERS for clock in _CLOCKS)
"""The patterns that files use, the day before the month where both are usual."""
