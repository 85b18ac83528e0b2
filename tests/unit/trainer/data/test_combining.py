from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.data.combining import join, without_known
from trainer.preparing.weighting import DAY

MIDNIGHT = 1_767_225_600.0
NOW = MIDNIGHT + 3600
WHO_AND_WHAT = map(st.sampled_from, ("uvw", "abc", [1.0, 5.0]))
TYPES = st.sampled_from(["", "view", "buy"])
ROW = st.tuples(*WHO_AND_WHAT, st.integers(0, 3), TYPES, st.integers(0, 6))
ROWS = st.lists(ROW, min_size=1, max_size=12)


def made(rows, name, *, times=True, types=True, ids=True):
    """Rows of user, item, weight, seconds after NOW, type and number of the id, 0 for none."""
    read = datasets.interactions(
        [row[:3] for row in rows],
        name=name,
        timestamps=[NOW + row[3] for row in rows] if times else None,
        events=[row[4] for row in rows] if types else None,
    )
    texts = [str(row[5]) if row[5] else "" for row in rows]
    return replace(read, event_ids=pa.chunked_array([texts], pa.large_string())) if ids else read


def history(*rows, **options):
    return made(rows, "shop.csv", **options)


def log(*rows):
    """All have an id, each another one."""
    return made([(*row[:5], number + 1) for number, row in enumerate(rows)], "events")


def as_rows(read):
    """With seconds after NOW."""
    rows = datasets.as_rows(read)
    return [(*row[:3], None if row[3] is None else row[3] - NOW, row[4]) for row in rows]


@given(ROWS, ROWS, st.booleans(), st.booleans(), st.booleans())
def test_each_event_that_is_in_both_counts_once(old, new, times, types, ids):
    """As one would do it event by event."""
    new = [(*row[:5], number + 1) for number, row in enumerate(new)]
    known_ids = {row[5] for row in old if row[5]} & {row[5] for row in new} if ids else set()
    typed = types and any(row[4] for row in old) and any(row[4] for row in new)

    def key(row):
        return (row[0], row[1], row[3], row[4] if typed else "")

    left = Counter(key(row) for row in old if times and not (known_ids and row[5]))
    expected = []
    for row in new:
        if row[5] in known_ids:
            continue
        if left[key(row)]:
            left[key(row)] -= 1
        else:
            expected.append(row)
    first, second = history(*old, times=times, types=types, ids=ids), log(*new)
    first, second = replace(first, warnings=["of old"]), replace(second, warnings=["of new"])
    found = join(first, without_known(first, second))
    shown = [
        (*row[:3], row[3] if times else None, "" if number < len(old) and not types else row[4])
        for number, row in enumerate([*old, *expected])
    ]
    assert as_rows(found) == shown
    assert (found.name, found.event_ids) == ("shop.csv + events", None)
    kinds = (found.users.dtype, found.items.dtype, found.weights.dtype)
    assert kinds == (np.int64, np.int64, np.float32)
    assert len(set(found.user_ids)) == len(found.user_ids)
    assert found.warnings[:2] == ["of old", "of new"]
    told = [int(warning.split()[0]) for warning in found.warnings if "they count once" in warning]
    assert sum(told) == len(new) - len(expected)


@given(ROWS, ROWS, st.booleans(), st.booleans())
def test_rows_are_joined_with_the_columns_that_they_have(first, second, times, types):
    one, other = made(first, "one", times=times), made(second, "other", types=types)
    assert as_rows(join(one, other)) == [
        (*row[:3], row[3] if times else None, row[4] if types or number < len(first) else "")
        for number, row in enumerate([*first, *second])
    ]
    plain = join(made(first, "one", types=False), made(second, "other", types=False))
    assert plain.events is None
    assert as_rows(join(one.where(np.zeros(len(one), np.bool_)), other))[0][:3] == second[0][:3]


@pytest.mark.parametrize(
    ("of_history", "of_log"),
    [
        # Cut or rounded to seconds, to milliseconds, and as a float of microseconds.
        ([0.0, 7.0], [0.9, 7.2]),
        ([1.0, 7.0], [0.9, 7.2]),
        ([0.124, 7.5], [0.1239, 7.5004]),
        ([0.123457, 7.5], [0.1234567, 7.5]),
    ],
)
def test_times_are_compared_as_exactly_as_the_history_has_them(of_history, of_log):
    rows = [("u", "a", 1.0, 0, "", 0)] * 2
    old = replace(history(*rows), timestamps=NOW + np.array(of_history))
    new = replace(log(*rows), timestamps=NOW + np.array(of_log))
    found = without_known(old, new)
    assert len(found) == 0
    assert found.warnings == [
        (
            "2 of 2 events of events are also in shop.csv, with the same user, item and time: "
            "they count once"
        )
    ]
    later = replace(new, timestamps=new.timestamps + 2)
    assert len(without_known(old, later)) == 2


def test_ids_of_another_form_are_shown_beside_one_another():
    old = history(("1", "10", 1.0, 0, "", 0))
    assert without_known(old, log(("U-1", "I-10", 1.0, 5, "", 0))).warnings == [
        f"none of the 1 {kind}s of events is in shop.csv: do the ids have another form? "
        f"events has {new!r}, shop.csv has {own!r}"
        for kind, new, own in (("item", "I-10", "10"), ("user", "U-1", "1"))
    ]
    assert without_known(old, log(("1", "10", 1.0, 5, "", 0))).warnings == []


def test_what_keeps_events_from_being_known_is_told():
    rows = [("u", "a", 1.0, 0, "", 1), ("u", "b", 1.0, 0, "", 0)]
    events = log(*rows)
    neither = "{} of 2 interactions of shop.csv have neither a timestamp nor an event_id"
    [warning] = without_known(history(*rows, times=False, ids=False), events).warnings
    assert warning.startswith(neither.format(2))
    first, twice = without_known(history(*rows, times=False), events).warnings
    assert first.startswith(neither.format(1))
    assert twice.startswith("1 of 2 events of events are also in shop.csv, with the same event_id")
    days = replace(history(*rows, ids=False), timestamps=np.array([MIDNIGHT - DAY, MIDNIGHT]))
    are_days = "the timestamps of shop.csv are days, so they can't match events of events"
    # Unless some are known by them, or the log begins later.
    for times, told in (
        ([NOW - 4000, NOW + 4000], True),
        ([MIDNIGHT - DAY, NOW], False),
        ([NOW - 4000 + 2 * DAY, NOW + 4000 + 2 * DAY], False),
    ):
        warnings = without_known(days, replace(events, timestamps=np.array(times))).warnings
        assert any(warning.startswith(are_days) for warning in warnings) == told
