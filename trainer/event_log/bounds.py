"""Events of a log that couldn't be appended today: their weight or time is out of bounds.

A log may be older than a bound, and its writer's clock may have been wrong. What is in a log stays
there, so a training that refused such events would fail for ever.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainer.data.bounds import EARLIEST_TIME, MAX_SECONDS_AHEAD, MAX_WEIGHT
from trainer.data.times.time_forms import iso
from trainer.errors import InputError

_SHOWN = 3
_SHOWN_CHARACTERS = 60


def within(directory: Path, table: pa.Table, *, now: float) -> tuple[pa.Table, list[str]]:
    """The events that are within the bounds.

    Args:
        directory: of the log, which warnings and errors name.
        table: events, as event_files.SCHEMA has them; at least one.
        now: what the clock says, seconds since 1970.

    Returns:
        The other events, and for each bound that some are beyond a warning that counts and names them.

    Raises:
        InputError: none is left.
    """
    weights, times = (table[name].to_numpy() for name in ("weight", "timestamp"))
    latest = now + MAX_SECONDS_AHEAD
    beyond = {
        f"weigh more than {MAX_WEIGHT:g}": ~(np.abs(weights) <= MAX_WEIGHT),
        f"are more than a day ahead of this machine's clock, which says {iso(now)}": ~(times <= latest),
        "are of before 1971": times < EARLIEST_TIME,
    }
    left_out = np.logical_or.reduce([*beyond.values()])
    if not left_out.any():
        return table, []
    warnings = [_warning(directory, table, bad, why) for why, bad in beyond.items() if bad.any()]
    if left_out.all():
        raise InputError(directory, f"no event can be used: {warnings[0]}")
    return table.filter(pa.array(~left_out)), warnings


def _warning(directory: Path, table: pa.Table, bad: NDArray[np.bool_], why: str) -> str:
    rows = np.flatnonzero(bad)
    examples = [
        f"{_cut(event['event_id'])} of user {_cut(event['user_id'])} and item {_cut(event['item_id'])} "
        f"(weight {event['weight']:g}, {_when(event['timestamp'])})"
        for event in table.take(rows[:_SHOWN]).to_pylist()
    ]
    more = ", and others" if len(rows) > _SHOWN else ""
    return (
        f"{directory}: {len(rows)} of {len(bad)} events {why}, and are left out: "
        f"{', '.join(examples)}{more}"
    )


def _cut(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}...")


def _when(seconds: float) -> str:
    try:
        return iso(seconds)
    except (OverflowError, ValueError):
        return str(seconds)
