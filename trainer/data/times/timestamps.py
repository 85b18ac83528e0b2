"""Read columns of timestamps in all forms of files and databases, and check them.

Impossible times of interactions are numbers in another unit, or come from a wrong clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer.data.bounds import EARLIEST_TIME, MAX_SECONDS_AHEAD
from trainer.data.files import column_types, tables
from trainer.data.times import formed_times, time_forms
from trainer.data.times.date_formats import DateFormat
from trainer.data.times.time_forms import EXPECTED, FIRST_OF_THE_WEB, iso, plain
from trainer.errors import InputError

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# 0001-01-01 and the end of 9999-12-31, the range of databases and of Python's datetime.
_EARLIEST = -62_135_596_800.0
_LATEST = 253_402_300_800.0
_YEAR = 365.25 * 86_400
_OLD = 20 * _YEAR
# A gap of more years isn't a pause of a shop, but a wrong clock.
_MANY_YEARS = 5
_MANY_ROWS = 100
# A few rows may have 0 for an unknown time, or another form.
_NEARLY_ALL = 0.99
_FIX = f"write them as {EXPECTED}, or rename the column if it holds no times"


@dataclass(frozen=True)
class Times:
    """A column of timestamps.

    Attributes:
        path, column: the file and the column that errors name.
        seconds: (n,) float64, finite, seconds since 1970-01-01 UTC.
        as_numbers: (n,) bool, whether each was written as a bare number and not as a date.
    """

    path: Path
    column: str
    seconds: NDArray[np.float64]
    as_numbers: NDArray[np.bool_]

    def shown(self, row: int) -> str:
        """Show one timestamp as a date, and as a number if it was written as one."""
        seconds = float(self.seconds[row])
        return f"{plain(seconds)}, which is {iso(seconds)}" if self.as_numbers[row] else iso(seconds)


def read(
    path: Path, table: pa.Table, column: str, *, now: float, form: DateFormat | None = None
) -> Times:
    """Read a column of timestamps as seconds since 1970-01-01 UTC.

    Numbers, also as text, are seconds since 1970. Other text is an ISO 8601 date, with or without a
    time. Values without an offset or a time zone are UTC.

    Args:
        path: the file that errors name.
        table: the table with the column.
        column: numbers, text, dates or timestamps of any unit and time zone, or a dictionary of those.
        now: the current time in seconds since 1970, for hints in errors.
        form: the form of numbers or text; None for the usual one.

    Raises:
        InputError: a value is missing, or isn't a time of the years 1 to 9999; names its row.
    """
    values = column_types.decoded(table.column(column))
    kind = values.type
    if form is not None and not pa.types.is_temporal(kind):
        return _of_form(path, values, column, form)
    as_numbers: NDArray[np.bool_] = np.broadcast_to(np.bool_(False), len(values))
    if column_types.is_text(kind):
        result, as_numbers = _of_text(path, tables.trimmed(values), column)
    elif column_types.is_number(kind):
        result = _floats(path, pc.cast(values, pa.float64(), safe=False), column)
        as_numbers = np.broadcast_to(np.True_, len(values))
    elif pa.types.is_timestamp(kind):
        # Arrow stores times in UTC, whatever their time zone.
        counts = _floats(path, pc.cast(values.cast(pa.int64()), pa.float64(), safe=False), column)
        result = counts / _PER_SECOND[kind.unit]
    elif pa.types.is_date(kind):
        days = values.cast(pa.date32()).cast(pa.int32())
        result = _floats(path, days.cast(pa.float64()), column) * 86_400
    else:
        reason = f"column {column} holds {kind}, but should hold {EXPECTED}"
        raise InputError(path, reason)
    bad = ~((result >= _EARLIEST) & (result < _LATEST))
    if bad.any():
        row = int(bad.argmax())
        value = values[row].as_py() if column_types.is_text(kind) else result[row].item()
        reason = f"{column} is {value!r}, which isn't {EXPECTED}"
        hint = time_forms.hint(result[bad], now=now)
        if not hint and _LATEST <= result[row] < _LATEST * 1000:
            hint = "are these milliseconds?"
        raise InputError(path, f"{reason} ({hint})" if hint else reason, row=row + 1)
    return Times(path, column, result, as_numbers)


def are_valid(
    values: pa.ChunkedArray, *, now: float, form: DateFormat | None = None
) -> NDArray[np.bool_]:
    """Return which values of a decoded column `read` and `check` accept one by one; (n,) bool."""
    kind = values.type
    if column_types.is_text(kind) or (form is not None and not pa.types.is_temporal(kind)):
        seconds = formed_times.seconds_or_nan(values, form)
    elif column_types.is_number(kind):
        seconds = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    else:
        return np.asarray(values.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    # Comparisons with NaN are false.
    valid: NDArray[np.bool_] = (seconds >= _EARLIEST) & (seconds < _LATEST)
    return valid & (seconds <= now + MAX_SECONDS_AHEAD)


def check(times: Times, *, now: float) -> list[str]:
    """Refuse impossible times of interactions, and warn of suspicious ones.

    Three cases are refused: a time is more than a day ahead of the clock, nearly all times are before
    1971, or all times are numbers before 1995. Such values come from other units, read as seconds since
    1970. Dates are unambiguous, so dates of 1971 to 1994 only give a warning.

    Args:
        times: at least one.
        now: the current time in seconds since 1970.

    Returns:
        Warnings, one sentence each.

    Raises:
        InputError: names the first wrong row and its value, the number of such rows, and the remedy.
    """
    oldest, newest = times.seconds.min(), times.seconds.max()
    if newest > now + MAX_SECONDS_AHEAD:
        raise _ahead(times, now)
    early = times.seconds < EARLIEST_TIME if oldest < EARLIEST_TIME else None
    if early is not None and np.count_nonzero(early) >= _NEARLY_ALL * len(early):
        raise _of_another_form(times, early, now)
    # Some dates in digits are refused, too. Other forms aren't: 18000 may be midnight in New York.
    if early is not None and time_forms.digits_hint(times.seconds[early & times.as_numbers]):
        raise _of_another_form(times, early & times.as_numbers, now)
    if newest < FIRST_OF_THE_WEB and times.as_numbers.all():
        raise _of_another_form(times, times.as_numbers, now)
    warnings = []
    if early is not None:
        row = int(early.argmax())
        warnings.append(
            f"{times.path}: {np.count_nonzero(early)} of {len(early)} rows have a {times.column} "
            f"before 1971, such as row {row + 1} ({times.shown(row)}): they count as the oldest; are "
            "these unknown times?"
        )
    elif len(times.seconds) >= _MANY_ROWS:
        warnings += _warning_of_a_gap(times)
    if newest < now - _OLD:
        years = (now - newest) / _YEAR
        hint = time_forms.hint(times.seconds[times.as_numbers], now=now)
        doubt = f"; if that is wrong: {hint}" if hint else ""
        warnings.append(
            f"{times.path}: the newest {times.column} is {times.shown(int(times.seconds.argmax()))}, "
            f"{years:.0f} years ago{doubt}"
        )
    return warnings


def _floats(path: Path, values: pa.ChunkedArray, column: str) -> NDArray[np.float64]:
    if values.null_count:
        raise InputError(path, f"{column} is empty", row=tables.first(pc.is_null(values)))
    result: NDArray[np.float64] = values.to_numpy().astype(np.float64, copy=False)
    return result


def _of_text(
    path: Path, values: pa.ChunkedArray, column: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    try:
        numbers = _floats(path, pc.cast(values, pa.float64()), column)
        return numbers, np.broadcast_to(np.True_, len(values))
    except pa.ArrowInvalid:
        pass
    # Arrow parses a whole column at once, but only if all values have an offset or none has.
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            counts = pc.cast(values, kind).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
        seconds = _floats(path, counts.cast(pa.float64(), safe=False), column) / _PER_SECOND["us"]
        return seconds, np.broadcast_to(np.False_, len(values))
    result = np.empty(len(values), dtype=np.float64)
    as_numbers = np.zeros(len(values), dtype=np.bool_)
    for row, text in enumerate(values.to_pylist()):
        if text is None:
            raise InputError(path, f"{column} is empty", row=row + 1)
        result[row], as_numbers[row] = _parsed(text)
    return result, as_numbers


def _parsed(text: str) -> tuple[float, bool]:
    """Return seconds since 1970, or NaN for an invalid time; and whether the text is a bare number."""
    try:
        # Python's float() would also accept texts such as "1_000".
        return float(pc.cast(pa.scalar(text), pa.float64()).as_py()), True
    except pa.ArrowInvalid:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return float("nan"), False
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(), False


def _of_form(path: Path, values: pa.ChunkedArray, column: str, form: DateFormat) -> Times:
    """Read numbers or text of a named form; raises InputError for the first value of another."""
    if values.null_count:
        raise InputError(path, f"{column} is empty", row=tables.first(pc.is_null(values)))
    seconds = formed_times.seconds_or_nan(values, form)
    bad = ~((seconds >= _EARLIEST) & (seconds < _LATEST))
    if bad.any():
        row = int(bad.argmax())
        value = values[row].as_py()
        if isinstance(value, str) and not value.strip():
            raise InputError(path, f"{column} is empty", row=row + 1)
        reason = f"{column} is {value!r}, which hasn't the form of --date-format"
        raise InputError(path, reason, row=row + 1)
    # The user has named the form, so no number is in doubt.
    return Times(path, column, seconds, np.broadcast_to(np.False_, len(seconds)))


def _ahead(times: Times, now: float) -> InputError:
    ahead = times.seconds > now + MAX_SECONDS_AHEAD
    count, row = np.count_nonzero(ahead), int(ahead.argmax())
    hint = time_forms.hint(times.seconds[ahead & times.as_numbers], now=now)
    todo = hint or (
        f"fix or leave out {'that row' if count == 1 else 'those rows'}, or set this machine's clock "
        "if it is slow"
    )
    return InputError(
        times.path,
        f"{times.column} is {times.shown(row)}, more than a day ahead of this machine's clock, "
        f"which says {iso(now)} ({count} of {len(ahead)} rows): {todo}",
        row=row + 1,
    )


def _of_another_form(times: Times, bad: NDArray[np.bool_], now: float) -> InputError:
    """Return the error for times, or numbers among dates, that aren't seconds since 1970."""
    count, row = np.count_nonzero(bad), int(bad.argmax())
    hint = time_forms.hint(times.seconds[bad], now=now)
    before = "1971" if times.seconds[bad].max() < EARLIEST_TIME else "1995"
    return InputError(
        times.path,
        f"{times.column} is {times.shown(row)}; {count} of {len(bad)} rows are before {before}, too "
        f"early for interactions: {hint or _FIX}",
        row=row + 1,
    )


def _warning_of_a_gap(times: Times) -> Iterator[str]:
    """Warn of a gap of many years: a clock without power restarts at 1996 or 2000, for example."""
    years = (times.seconds // _YEAR).astype(np.int64)
    first = int(years.min())
    found = np.flatnonzero(np.bincount(years - first)) + first
    gaps = np.diff(found)
    if not len(gaps) or gaps.max() <= _MANY_YEARS:
        return
    before = years <= found[gaps.argmax()]
    row = int(before.argmax())
    yield (
        f"{times.path}: {np.count_nonzero(before)} of {len(before)} rows have a {times.column} more "
        f"than {int(gaps.max()) - 1} years before all others, such as row {row + 1} "
        f"({times.shown(row)}): is a clock wrong?"
    )
