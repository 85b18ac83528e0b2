"""Recognise numbers that are times in another unit than seconds since 1970."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from trainer.data.bounds import EARLIEST_TIME

EXPECTED = "seconds since 1970, as 1767225600, or a date and time of ISO 8601, as 2026-01-01T00:00:00Z"
FIRST_OF_THE_WEB = 788_918_400.0
"""1995-01-01 in seconds since 1970: the oldest public datasets of ratings begin in that month."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400.0
# Day 0 of Excel, 1899-12-30, in seconds since 1970.
_EXCEL = -2_209_161_600.0
# 2001-01-01, from which Apple's systems count, in seconds since 1970.
_APPLE = 978_307_200.0
# A few rows may be something else, such as 0 for an unknown time.
_MOST = 0.99
# Times in another unit may include some in the future.
_AHEAD = 365 * _DAY
# No form has larger numbers.
_LARGEST = 1e19


@dataclass(frozen=True)
class _Form:
    """A linear form of times: seconds since 1970 = number * scale + offset."""

    name: str
    scale: float
    offset: float = 0.0
    advice: str = ""
    smallest: float = float("-inf")

    def hint(self, example: float) -> str:
        when = iso(example * self.scale + self.offset)
        advice = self.advice or f"multiply them by {self.scale:,.0f}"
        return f"are these {self.name}? {plain(example)} would be {when}: {advice}"


_FORMS = (
    _Form("nanoseconds", 1e-9, advice="divide them by 1,000,000,000"),
    _Form("microseconds", 1e-6, advice="divide them by 1,000,000"),
    _Form("milliseconds", 1e-3, advice="divide them by 1,000"),
    _Form("minutes since 1970", 60),
    _Form("hours since 1970", 3600),
    _Form("days since 1970", _DAY),
    _Form(
        "Excel's serial dates",
        _DAY,
        _EXCEL,
        "write them as dates of ISO 8601, or subtract 25569 and multiply by 86400",
    ),
    _Form("seconds since 1970 divided by 1,000", 1e3),
    _Form("seconds since 1970 divided by 1,000,000", 1e6),
    _Form("seconds since 1970 divided by 1,000,000,000", 1e9),
    _Form(
        "seconds since 2001, as Apple's systems have them",
        1,
        _APPLE,
        "add 978307200 to them",
        # Otherwise all small numbers would match.
        smallest=EARLIEST_TIME,
    ),
)
# Dates, also with hour, minute and second.
_DIGITS = ("YYYYMMDD", "YYYYMMDDHH", "YYYYMMDDHHMM", "YYYYMMDDHHMMSS")


def hint(numbers: NDArray[np.float64], *, now: float) -> str:
    """Guess the unit of numbers that aren't seconds since 1970, and say how to convert them.

    Args:
        numbers: (n,) float64.
        now: the current time in seconds since 1970. A form fits only if it makes nearly all numbers
            times since 1995 that are not far ahead of `now`.

    Returns:
        A question and advice; "" if no form fits.
    """
    if in_digits := digits_hint(numbers):
        return in_digits
    numbers = numbers[np.abs(numbers) < _LARGEST]
    for form in _FORMS:
        found = numbers * form.scale + form.offset
        fits = (found >= FIRST_OF_THE_WEB) & (found <= now + _AHEAD)
        fits &= numbers >= form.smallest
        if _nearly_all(fits):
            return form.hint(float(numbers[fits.argmax()]))
    return ""


def digits_hint(numbers: NDArray[np.float64]) -> str:
    """Recognise dates in digits, such as 20260115; see `hint`. Few other numbers look like that."""
    numbers = numbers[np.abs(numbers) < _LARGEST]
    for position, form in enumerate(_DIGITS):
        fits = _are_digits(numbers, 100**position)
        if _nearly_all(fits):
            example = float(numbers[fits.argmax()])
            date = int(example) // 100**position
            written = f"{date // 10_000:04}-{date // 100 % 100:02}-{date % 100:02}"
            if position:
                written += f"T{int(example) // 100 ** (position - 1) % 100:02}..."
            return (
                f"are these dates in digits, {form} (ISO 8601's basic form)? write them with "
                f"hyphens, {plain(example)} as {written}"
            )
    return ""


def iso(seconds: float) -> str:
    """Format seconds since 1970, of the years 1 to 9999, as ISO 8601 to the second."""
    return (_EPOCH + timedelta(seconds=math.floor(seconds))).isoformat().replace("+00:00", "Z")


def plain(number: float) -> str:
    """Format a number as it was written."""
    return str(int(number)) if number.is_integer() else repr(number)


def _nearly_all(fits: NDArray[np.bool_]) -> bool:
    return bool(np.count_nonzero(fits) >= max(1, _MOST * len(fits)))


def _are_digits(numbers: NDArray[np.float64], beyond_the_day: int) -> NDArray[np.bool_]:
    """Return a mask of the numbers that are dates of 1900 to 2100 in digits, with further digits."""
    dates = np.floor(numbers / beyond_the_day)
    years, rest = np.divmod(dates, 10_000)
    months, days = np.divmod(rest, 100)
    fits: NDArray[np.bool_] = (years >= 1900) & (years <= 2100) & (numbers == np.floor(numbers))
    return fits & (months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)
