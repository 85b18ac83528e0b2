"""Guess the form of a column of times that isn't the usual one."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer.data.files import column_types, tables
from trainer.data.files.column_types import NUMBER
from trainer.data.times import date_formats, time_forms
from trainer.data.times.date_formats import UNITS, DateFormat
from trainer.data.times.time_forms import FIRST_OF_THE_WEB

DIGITS = "%Y%m%d"
_SAMPLE = 500
_MOST = 200_000
_ORDERED_ROWS = 20_000
# Some rows may be invalid.
_NEARLY_ALL = 0.9
_AHEAD = 365 * 86_400.0


def guess(values: pa.ChunkedArray, *, now: float) -> list[str]:
    """Guess the value of --date-format for a decoded column of numbers or text.

    Args:
        values: the column.
        now: the current time in seconds since 1970; times are not far ahead of it.

    Returns:
        The form. Several forms if the values fit them equally well, such as the day and the month in
        either order. [] if the usual reading fits, or if nothing does.
    """
    if pa.types.is_temporal(values.type) or not column_types.has_text(values.type):
        return []
    texts = tables.trimmed(column_types.as_text(values)).drop_null()
    if not len(texts):
        return []
    are_numbers = pc.match_substring_regex(texts, NUMBER)
    numbers = texts.filter(are_numbers)
    if len(numbers) >= _NEARLY_ALL * len(texts):
        return _of_numbers(numbers.cast(pa.float64()).to_numpy(), now)
    counted = pc.value_counts(texts)[:_MOST]
    distinct = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
    if _share(DateFormat(), distinct) >= _NEARLY_ALL:
        return []
    return _of_texts(texts, distinct)


def _of_numbers(numbers: NDArray[np.float64], now: float) -> list[str]:
    if time_forms.digits_hint(numbers).startswith("are these dates in digits, YYYYMMDD "):
        return [DIGITS]
    for unit, per_second in UNITS.items():
        seconds = numbers / per_second
        fits = (seconds >= FIRST_OF_THE_WEB) & (seconds <= now + _AHEAD)
        if np.count_nonzero(fits) >= _NEARLY_ALL * len(numbers):
            return [] if unit == "s" else [unit]
    return []


def _of_texts(texts: pa.ChunkedArray, distinct: dict[str, int]) -> list[str]:
    # Wrong rows may be among the first.
    sample = dict(islice(distinct.items(), None, None, max(1, len(distinct) // _SAMPLE)))
    shares = {
        form: _share(date_formats.parse(form), distinct)
        for form in date_formats.PATTERNS
        if _share(date_formats.parse(form), sample) >= _NEARLY_ALL
    }
    best = max(shares.values(), default=0.0)
    found = [form for form, share in shares.items() if share == best]
    if len(found) > 1:
        ordered = [form for form in found if _is_ordered(texts, date_formats.parse(form))]
        # Files are often in the order of time.
        found = ordered if len(ordered) == 1 else found
    return found


def _share(form: DateFormat, distinct: dict[str, int]) -> float:
    """Return the share of texts that have a form, of texts with their counts."""
    fits = (count for text, count in distinct.items() if not math.isnan(form.seconds(text)))
    return sum(fits) / sum(distinct.values())


def _is_ordered(texts: pa.ChunkedArray, form: DateFormat) -> bool:
    seconds = np.array([form.seconds(own) for own in texts[:_ORDERED_ROWS].to_pylist()])
    steps = np.diff(seconds[~np.isnan(seconds)])
    return bool(len(steps)) and bool((steps >= 0).all() or (steps <= 0).all())
