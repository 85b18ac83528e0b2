from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.times import timestamps
from trainer.errors import InputError

PATH = Path("data.csv")
TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001
ZONES = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(
    lambda offset: dt.timezone(dt.timedelta(minutes=offset // dt.timedelta(minutes=1)))
)
# 2026-01-01T00:00:00Z
NEW_YEAR = 1_767_225_600.0
NOW = NEW_YEAR + 180 * 86_400


def seconds(values, kind=None):
    return timestamps.read(
        PATH, pa.table({"it": pa.array(values, kind)}), "it", now=NOW
    ).seconds.tolist()


def close_to(times):
    """A float64 tells microseconds apart, but not at both ends of the calendar."""
    exact = [time.replace(tzinfo=time.tzinfo or dt.UTC).timestamp() for time in times]
    return pytest.approx(exact, rel=0, abs=1e-4)


@given(st.lists(TIMES, min_size=1), st.sampled_from([None, "UTC", "Europe/Berlin", "-07:00"]))
def test_arrows_timestamps_of_any_zone_are_seconds_since_1970(times, zone):
    aware = [time.replace(tzinfo=dt.UTC) for time in times]
    values = aware if zone else times
    assert seconds(values, pa.timestamp("us", zone)) == close_to(times)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit_counts_from_1970(unit):
    times = [dt.datetime(2026, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59)]  # noqa: DTZ001
    assert seconds(times, pa.timestamp(unit)) == [NEW_YEAR, -1.0]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_a_date_is_its_midnight_in_utc(kind):
    assert seconds([dt.date(2026, 1, 1), dt.date(1969, 12, 31)], kind) == [NEW_YEAR, -86_400.0]


@given(st.lists(st.tuples(TIMES, st.none() | ZONES), min_size=1))
def test_texts_of_iso_8601_with_and_without_an_offset_may_be_mixed(times):
    given_times = [time.replace(tzinfo=zone) for time, zone in times]
    assert seconds([time.isoformat() for time in given_times]) == close_to(given_times)


@given(st.lists(TIMES.map(lambda time: time.replace(microsecond=0)), min_size=1))
def test_texts_that_are_all_alike_are_read_as_mixed_ones_are(times):
    for end in ("", "Z", "+02:00"):
        texts = [time.isoformat(" ") + end for time in times]
        assert seconds(texts) == seconds([*texts, "20260101T000000"])[:-1]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([0, 1_767_225_600], pa.int64(), [0.0, NEW_YEAR]),
        ([-5], pa.int16(), [-5.0]),
        ([0.5, NEW_YEAR], pa.float64(), [0.5, NEW_YEAR]),
        ([decimal.Decimal("1767225600.25")], None, [NEW_YEAR + 0.25]),
        ([decimal.Decimal("1767225600")], pa.decimal128(20, 0), [NEW_YEAR]),
        ([decimal.Decimal("1767225600")], pa.decimal256(40, 0), [NEW_YEAR]),
        (["0", " 1767225600.5\n", "-1e3"], None, [0.0, NEW_YEAR + 0.5, -1000.0]),
        (["2026-01-01", "2026-01-01T00:00:00.123456789Z"], None, [NEW_YEAR, NEW_YEAR + 0.123456]),
        (["2026-W01-4", "1767225600"], pa.large_string(), [NEW_YEAR, NEW_YEAR]),
        (["20260101T000000Z", "20260101T010000+0100"], None, [NEW_YEAR, NEW_YEAR]),
    ],
)
def test_numbers_and_texts_of_numbers_are_seconds(values, kind, expected):
    assert seconds(values, kind) == expected


@pytest.mark.parametrize(
    "values",
    [
        pa.array([dt.datetime(2026, 1, 1)] * 2, pa.timestamp("ms")),  # noqa: DTZ001
        pa.array([dt.date(2026, 1, 1)] * 2),
        pa.array([1_767_225_600] * 2),
        pa.array([decimal.Decimal(1_767_225_600)] * 2),
        pa.array(["2026-01-01"] * 2),
        pa.array([" 1767225600"] * 2, pa.large_string()),
        pa.array(["2026-01-01T00Z", "20260101T000000"]),
    ],
)
def test_a_column_may_be_a_dictionary_of_any_form(values):
    for of in (values, values.dictionary_encode()):
        table = pa.table({"it": pa.chunked_array([of, of])})
        assert timestamps.read(PATH, table, "it", now=NOW).seconds.tolist() == [NEW_YEAR] * 4


@pytest.mark.parametrize(
    ("values", "kind", "as_numbers"),
    [
        ([1, 2], pa.int32(), [True, True]),
        ([1.5, 2], None, [True, True]),
        ([decimal.Decimal(1)], None, [True]),
        (["1", "2.5"], None, [True, True]),
        (["1", "2026-01-01", "20260101", "20260101T00"], None, [True, False, True, False]),
        (["2026-01-01"], None, [False]),
        ([dt.date(2026, 1, 1)], None, [False]),
        ([dt.datetime(2026, 1, 1)], pa.timestamp("s"), [False]),  # noqa: DTZ001
    ],
)
def test_it_is_known_which_times_were_numbers(values, kind, as_numbers):
    read = timestamps.read(PATH, pa.table({"it": pa.array(values, kind)}), "it", now=NOW)
    assert read.as_numbers.tolist() == as_numbers


@pytest.mark.parametrize(
    "text", ["x", "2026-13-01", "01/02/2026", "12:00", "2026-01-01T25:00", "nan", "inf", "1_000", "--"]
)
def test_a_text_that_is_no_time_is_named_by_row_and_value(text):
    with pytest.raises(InputError) as caught:
        seconds(["2026-01-01", text, "y"])
    assert str(caught.value).startswith(
        f"data.csv, row 2: it is {text!r}, which isn't seconds since 1970, as 1767225600, "
        "or a date and time of ISO 8601"
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["0", "", "x"], None),
        (["2026-01-01", " "], None),
        (["2026-01-01T00:00Z", None, "2026-01-01"], None),
        ([1, None], pa.int64()),
        ([1.5, None], pa.float32()),
        ([dt.date(2026, 1, 1), None], pa.date32()),
        ([dt.datetime(2026, 1, 1), None], pa.timestamp("ms")),  # noqa: DTZ001
    ],
)
def test_a_missing_time_is_named_by_its_row(values, kind):
    with pytest.raises(InputError, match=r"^data\.csv, row 2: it is empty$"):
        seconds(values, kind)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -63e9])
def test_a_number_outside_of_the_calendar_is_named_by_row_and_value(value):
    with pytest.raises(InputError) as caught:
        seconds([0.0, value])
    assert str(caught.value).startswith(f"data.csv, row 2: it is {value!r}, which isn't seconds")
    assert "milliseconds" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (
            1_767_225_600_000,
            "are these milliseconds? 1767225600000 would be 2026-01-01T00:00:00Z: divide",
        ),
        (4_100_000_000_000, "are these milliseconds?)"),
        (
            1_767_225_600_000_000,
            "are these microseconds? 1767225600000000 would be 2026-01-01T00:00:00Z",
        ),
        (
            1_767_225_600_000_000_000,
            "are these nanoseconds? 1767225600000000000 would be 2026-01-01T00",
        ),
        (20_260_115_123_000, "YYYYMMDDHHMMSS (ISO 8601's basic form)? write them with hyphens, "),
    ],
)
@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.float64(), pa.decimal128(20, 0)])
def test_another_unit_is_guessed_where_seconds_would_be_far_away(value, hint, kind):
    with pytest.raises(InputError) as caught:
        seconds([{pa.string(): str, pa.float64(): float}.get(kind, int)(value)], kind)
    assert str(caught.value).startswith("data.csv, row 1: it is ")
    assert hint in str(caught.value)


def test_a_time_that_a_database_means_as_endless_is_named_by_its_row():
    endless = pa.array([0, 2**63 - 1], pa.int64()).cast(pa.timestamp("us", "UTC"))
    with pytest.raises(InputError, match=r"row 2: it is 9223372036854\.775, which isn't seconds"):
        seconds(endless)


@pytest.mark.parametrize("values", [[True], [[1]], [b"2026-01-01"], [dt.time(1)]])
def test_times_of_another_type_are_refused(values):
    with pytest.raises(InputError, match=r"^data\.csv: column it holds .*, but should hold seconds"):
        seconds(values)
