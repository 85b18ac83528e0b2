"""Columns of points in time, in the forms that files and databases have them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer.data.files import column_types, tables
from trainer.data.times import time_forms
from trainer.data.times.time_forms import EXPECTED
from trainer.errors import InputError

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# 0001-01-01 and the end of 9999-12-31, which is where databases and Python's datetime end as well.
_EARLIEST = -62_135_596_800.0
_LATEST = 253_402_300_800.0


@dataclass(frozen=True)
class Times:
    """A column of points in time.

    Attributes:
        seconds: (n,) float64, finite, since 1970-01-01 UTC.
        as_numbers: (n,) bool, which of them were written as bare numbers, and not as dates.
    """

    seconds: NDArray[np.float64]
    as_numbers: NDArray[np.bool_]


def read(path: Path, table: pa.Table, column: str, *, now: float) -> Times:
    """A column of points in time as seconds since 1970-01-01 UTC.

    Numbers are such seconds already, and so are texts of a number. Other texts are dates, with or
    without a time, of ISO 8601. What says no offset or time zone is UTC.

    Args:
        path: what errors name.
        table: where the column is.
        column: numbers, text, dates or timestamps of any unit and time zone, or a dictionary of those.
        now: seconds since 1970, for what errors say of numbers.

    Raises:
        InputError: a value is missing or isn't a point in time of the years 1 to 9999; names its row.
    """
    values = column_types.decoded(table.column(column))
    kind = values.type
    as_numbers: NDArray[np.bool_] = np.broadcast_to(np.bool_(False), len(values))
    if column_types.is_text(kind):
        result, as_numbers = _of_text(path, tables.trimmed(values), column)
    elif column_types.is_number(kind):
        result = _floats(path, pc.cast(values, pa.float64(), safe=False), column)
        as_numbers = np.broadcast_to(np.True_, len(values))
    elif pa.types.is_timestamp(kind):
        # Arrow keeps points in time in UTC, whatever their time zone.
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
    return Times(result, as_numbers)


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
    # Arrow's parser takes a column at once, but only where all have an offset, or none has.
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
    """Seconds since 1970, NaN when it isn't a point in time; and whether it is a bare number."""
    try:
        # Python's own float() takes more than numbers in files look like, such as "1_000".
        return float(pc.cast(pa.scalar(text), pa.float64()).as_py()), True
    except pa.ArrowInvalid:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return float("nan"), False
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(), False
