"""Whether times can be when interactions happened, or are other numbers, or of a wrong clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.bounds import EARLIEST_TIME, MAX_SECONDS_AHEAD
from trainer.data.times import time_forms
from trainer.data.times.time_forms import EXPECTED, FIRST_OF_THE_WEB, iso, shown
from trainer.data.times.timestamps import Times
from trainer.errors import InputError

_YEAR = 365.25 * 86_400
_OLD = 20 * _YEAR
# So many years in which nothing happened are a pause of no shop.
_MANY_YEARS = 5
_MANY_ROWS = 100
# A few rows may have 0 for an unknown time, or another form than the others.
_NEARLY_ALL = 0.99
_MEND = f"write them as {EXPECTED}, or give the column another name if it holds no times"


def check(path: Path, column: str, times: Times, *, now: float) -> list[str]:
    """Refuse times that interactions can't have, and say what is odd about the others.

    Refused are times more than a day ahead of the clock, nearly all times before 1971, and numbers of
    which none is after 1994. Those are what other forms give when they are read as seconds since 1970.
    Dates leave no doubt about what they mean, so dates of 1971 to 1994 are only warned of.

    Args:
        path, column: what errors name.
        times: at least one.
        now: what the clock says, seconds since 1970.

    Returns:
        Warnings, in sentences.

    Raises:
        InputError: names the first such row and its value, how many there are, and what to do.
    """
    oldest, newest = times.seconds.min(), times.seconds.max()
    if newest > now + MAX_SECONDS_AHEAD:
        raise _ahead(path, column, times, now)
    early = times.seconds < EARLIEST_TIME if oldest < EARLIEST_TIME else None
    if early is not None and np.count_nonzero(early) >= _NEARLY_ALL * len(early):
        raise _of_another_form(path, column, times, early, now)
    # Dates in digits among others, too; but not other forms, since 18000 may be midnight in New York.
    if early is not None and time_forms.digits_hint(times.seconds[early & times.as_numbers]):
        raise _of_another_form(path, column, times, early & times.as_numbers, now)
    if newest < FIRST_OF_THE_WEB and times.as_numbers.all():
        raise _of_another_form(path, column, times, times.as_numbers, now)
    warnings = []
    if early is not None:
        warnings.append(_warning_of_early(path, column, times, early))
    elif len(times.seconds) >= _MANY_ROWS:
        warnings += _warning_of_a_gap(path, column, times)
    if newest < now - _OLD:
        years = (now - newest) / _YEAR
        warnings.append(
            f"{path}: the newest {column} is {_shown(times, int(times.seconds.argmax()))}, "
            f"{years:.0f} years ago{_doubt(times, now)}"
        )
    return warnings


def _ahead(path: Path, column: str, times: Times, now: float) -> InputError:
    ahead = times.seconds > now + MAX_SECONDS_AHEAD
    count, row = np.count_nonzero(ahead), int(ahead.argmax())
    hint = time_forms.hint(times.seconds[ahead & times.as_numbers], now=now)
    todo = hint or (
        f"mend or leave out {'that row' if count == 1 else 'those rows'}, or set this machine's clock "
        "if it is slow"
    )
    return InputError(
        path,
        f"{column} is {_shown(times, row)}, more than a day ahead of this machine's clock, "
        f"which says {iso(now)} ({count} of {len(ahead)} rows): {todo}",
        row=row + 1,
    )


def _of_another_form(
    path: Path, column: str, times: Times, bad: NDArray[np.bool_], now: float
) -> InputError:
    """Of all times, or of numbers among dates, that aren't seconds since 1970."""
    count, row = np.count_nonzero(bad), int(bad.argmax())
    hint = time_forms.hint(times.seconds[bad], now=now)
    before = "1971" if times.seconds[bad].max() < EARLIEST_TIME else "1995"
    return InputError(
        path,
        f"{column} is {_shown(times, row)}; {count} of {len(bad)} rows are of before {before}, which "
        f"no interactions are: {hint or _MEND}",
        row=row + 1,
    )


def _warning_of_early(path: Path, column: str, times: Times, early: NDArray[np.bool_]) -> str:
    row = int(early.argmax())
    return (
        f"{path}: {np.count_nonzero(early)} of {len(early)} rows have a {column} of before 1971, such "
        f"as row {row + 1} ({_shown(times, row)}): they count as the oldest; is that how an unknown "
        "time is written?"
    )


def _warning_of_a_gap(path: Path, column: str, times: Times) -> Iterator[str]:
    """A warning where nothing happened for many years: a clock that starts anew says 2000, or 1996."""
    years = (times.seconds // _YEAR).astype(np.int64)
    first = int(years.min())
    found = np.flatnonzero(np.bincount(years - first)) + first
    gaps = np.diff(found)
    if not len(gaps) or gaps.max() <= _MANY_YEARS:
        return
    before = years <= found[gaps.argmax()]
    row = int(before.argmax())
    yield (
        f"{path}: {np.count_nonzero(before)} of {len(before)} rows have a {column} more than "
        f"{int(gaps.max()) - 1} years before all others, such as row {row + 1} "
        f"({_shown(times, row)}): is a clock wrong?"
    )


def _doubt(times: Times, now: float) -> str:
    hint = time_forms.hint(times.seconds[times.as_numbers], now=now)
    return f": {hint}, if that isn't so" if hint else ""


def _shown(times: Times, row: int) -> str:
    return shown(float(times.seconds[row]), as_number=bool(times.as_numbers[row]))
