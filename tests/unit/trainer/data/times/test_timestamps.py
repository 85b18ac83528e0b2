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
DAYS = [dt.date(2026, 1, 1), dt.date(1969, 12, 31)]
DATES = [dt.datetime(2026, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59)]  # noqa: DTZ001


def read(values, kind=None):
    table = pa.table({"it": pa.array(values, kind) if isinstance(values, list) else values})
    return timestamps.read(PATH, table, "it", now=NOW)


def seconds(values, kind=None):
    return read(values, kind).seconds.tolist()


def close_to(times):
    """A float64 tells microseconds apart, but not at both ends of the calendar."""
    exact = [time.replace(tzinfo=time.tzinfo or dt.UTC).timestamp() for time in times]
    return pytest.approx(exact, rel=0, abs=1e-4)


@given(st.lists(TIMES, min_size=1), st.sampled_from([None, "UTC", "Europe/Berlin", "-07:00"]))
def test_arrows_timestamps_of_any_zone_are_seconds_since_1970(times, zone):
    aware = [time.replace(tzinfo=dt.UTC) for time in times]
    assert seconds(aware if zone else times, pa.timestamp("us", zone)) == close_to(times)


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
    ("values", "kind", "expected", "as_numbers"),
    [
        ([0, 1_767_225_600], pa.int64(), [0.0, NEW_YEAR], True),
        ([-5], pa.int16(), [-5.0], True),
        ([0.5, NEW_YEAR], pa.float64(), [0.5, NEW_YEAR], True),
        ([decimal.Decimal("1767225600.25")], None, [NEW_YEAR + 0.25], True),
        ([decimal.Decimal("1767225600")], pa.decimal128(20, 0), [NEW_YEAR], True),
        ([decimal.Decimal("1767225600")], pa.decimal256(40, 0), [NEW_YEAR], True),
        (["0", " 1767225600.5\n", "-1e3"], None, [0.0, NEW_YEAR + 0.5, -1000.0], True),
        (
            ["2026-01-01", "2026-01-01T00:00:00.123456789Z"],
            None,
            [NEW_YEAR, NEW_YEAR + 0.123456],
            False,
        ),
        (["2026-W01-4", "1767225600"], pa.large_string(), [NEW_YEAR, NEW_YEAR], [False, True]),
        (["20260101T000000Z", "20260101T010000+0100"], None, [NEW_YEAR, NEW_YEAR], False),
        (["2026-01-01"], None, [NEW_YEAR], False),
        *((DATES, pa.timestamp(unit), [NEW_YEAR, -1.0], False) for unit in ("s", "ms", "us", "ns")),
        *((DAYS, kind, [NEW_YEAR, -86_400.0], False) for kind in (pa.date32(), pa.date64())),
    ],
)
def test_every_form_is_seconds_since_1970_in_utc_and_numbers_are_known(
    values, kind, expected, as_numbers
):
    """Also as codes of a dictionary, in several chunks."""
    plain = pa.array(values, kind)
    encoded = plain.dictionary_encode()
    for made in (plain, pa.chunked_array([plain, plain]), pa.chunked_array([encoded, encoded])):
        found = read(made)
        times = len(made) // len(expected)
        assert found.seconds.tolist() == expected * times
        each = [as_numbers] * len(expected) if isinstance(as_numbers, bool) else as_numbers
        assert found.as_numbers.tolist() == each * times


NO_TIMES = "x 2026-13-01 01/02/2026 12:00 2026-01-01T25:00 nan inf 1_000 --"


@pytest.mark.parametrize("text", NO_TIMES.split())
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
        ([DATES[0], None], pa.date32()),
        ([DATES[0], None], pa.timestamp("ms")),
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
