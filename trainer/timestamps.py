"""Columns of points in time, in the forms that files and databases have them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer import tables
from trainer.errors import InputError

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# 0001-01-01 and the end of 9999-12-31, which is where databases and Python's datetime end as well.
_EARLIEST = -62_135_596_800.0
_LATEST = 253_402_300_800.0
_EXPECTED = "seconds since 1970, as 1767225600, or a date and time of ISO 8601, as 2026-01-01T00:00:00Z"


def seconds(path: Path, table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column of points in time as seconds since 1970-01-01 UTC.

    Numbers are such seconds already, and so are texts of a number. Other texts are dates, with or
    without a time, of ISO 8601. What says no offset or time zone is UTC.

    Args:
        path: what errors name.
        table: where the column is.
        column: numbers, text, dates or timestamps of any unit and time zone.

    Returns:
        (n,) float64, finite.

    Raises:
        InputError: a value is missing or isn't a point in time of the years 1 to 9999; names its row.
    """
    values = table.column(column)
    kind = values.type
    if tables.is_text(kind):
        result = _of_text(path, tables.trimmed(values), column)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        result = _floats(path, pc.cast(values, pa.float64(), safe=False), column)
    elif pa.types.is_timestamp(kind):
        # Arrow keeps points in time in UTC, whatever their time zone.
        counts = _floats(path, pc.cast(values.cast(pa.int64()), pa.float64(), safe=False), column)
        result = counts / _PER_SECOND[kind.unit]
    elif pa.types.is_date(kind):
        days = values.cast(pa.date32()).cast(pa.int32())
        result = _floats(path, days.cast(pa.float64()), column) * 86_400
    else:
        reason = f"column {column} holds {kind}, but should hold {_EXPECTED}"
        raise InputError(path, reason)
    bad = ~((result >= _EARLIEST) & (result < _LATEST))
    if bad.any():
        row = int(bad.argmax())
        value = values[row].as_py() if tables.is_text(kind) else result[row].item()
        hint = " (are these milliseconds?)" if _LATEST <= result[row] < _LATEST * 1000 else ""
        raise InputError(path, f"{column} is {value!r}, which isn't {_EXPECTED}{hint}", row=row + 1)
    return result


def _floats(path: Path, values: pa.ChunkedArray, column: str) -> NDArray[np.float64]:
    if values.null_count:
        raise InputError(path, f"{column} is empty", row=tables.first(pc.is_null(values)))
    result: NDArray[np.float64] = values.to_numpy().astype(np.float64, copy=False)
    return result


def _of_text(path: Path, values: pa.ChunkedArray, column: str) -> NDArray[np.float64]:
    try:
        return _floats(path, pc.cast(values, pa.float64()), column)
    except pa.ArrowInvalid:
        pass
    # Arrow's parser takes a column at once, but only where all have an offset, or none has.
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            counts = pc.cast(values, kind).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
        return _floats(path, counts.cast(pa.float64(), safe=False), column) / _PER_SECOND["us"]
    result = np.empty(len(values), dtype=np.float64)
    for row, text in enumerate(values.to_pylist()):
        if text is None:
            raise InputError(path, f"{column} is empty", row=row + 1)
        result[row] = _parsed(text)
    return result


def _parsed(text: str) -> float:
    """Seconds since 1970, NaN when it isn't a point in time."""
    try:
        # Python's own float() takes more than numbers in files look like, such as "1_000".
        return float(pc.cast(pa.scalar(text), pa.float64()).as_py())
    except pa.ArrowInvalid:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return float("nan")
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
