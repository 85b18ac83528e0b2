from pathlib import Path

import pyarrow as pa
import pytest

from trainer.errors import InputError
from trainer.event_log import reading
from trainer.event_log.files import SCHEMA

LOG = Path("log")
NOW = 1_767_225_600.0


def table(*rows):
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)


def event(number, *, weight=1.0, timestamp=NOW, user="u"):
    return (f"e{number}", user, "i", "", weight, timestamp)


def test_those_beyond_are_left_out_counted_and_named():
    bounds = [event(1, weight=1e9), event(2, weight=-1e9), event(3, timestamp=NOW + 86_400)]
    events = table(
        *bounds,
        event(4, weight=3e38, user="東京"),
        event(5, weight=-3e38),
        event(6, timestamp=NOW + 365 * 86_400),
        event(7, timestamp=46_037.0),
        *(event(number, weight=1e10) for number in range(8, 20)),
    )
    found, warnings = reading._within(LOG, events, now=NOW)
    assert found == table(*bounds)
    heavy, ahead, early = warnings
    assert heavy.startswith(
        "log: 14 of 19 events weigh more than 1e+09, and are left out: "
        "'e4' of user '\\u6771\\u4eac' and item 'i' (weight 3e+38, 2026-01-01T00:00:00Z), 'e5' of "
    )
    assert heavy.endswith(", and others")
    assert ahead == (
        "log: 1 of 19 events are more than a day ahead of this machine's clock, which says "
        "2026-01-01T00:00:00Z, and are left out: 'e6' of user 'u' and item 'i' "
        "(weight 1, 2027-01-01T00:00:00Z)"
    )
    assert "1 of 19 events are from before 1971, and are left out: 'e7' of " in early
    assert reading._within(LOG, found, now=NOW) == (found, [])
    with pytest.raises(InputError, match=r"^log: no event can be used: log: 14 of 16 events weigh"):
        reading._within(LOG, events.slice(3), now=NOW)
