import datetime as dt
import decimal
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
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
# 2026-06-30T12:00:00Z
NOW = 1_782_820_800.0
DAY = 86_400
YEAR = 365 * DAY
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


@pytest.mark.parametrize(
    ("values", "kind", "expected", "as_numbers"),
    [
        ([0, 1_767_225_600], pa.int64(), [0.0, NEW_YEAR], True),
        ([-5], pa.int16(), [-5.0], True),
        ([0.5, NEW_YEAR], pa.float64(), [0.5, NEW_YEAR], True),
        ([decimal.Decimal("1767225600.25")], None, [NEW_YEAR + 0.25], True),
        ([decimal.Decimal("1767225600")], pa.decimal128(20, 0), [NEW_YEAR], True),
        (["0", " 1767225600.5\n", "-1e3"], None, [0.0, NEW_YEAR + 0.5, -1000.0], True),
        (["2026-01-01T00:00:00.123456789Z"], None, [NEW_YEAR + 0.123456], False),
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
BEYOND = (np.nan, np.inf, -np.inf, 1e300, -63e9)
SECONDS = "which isn't seconds since 1970, as 1767225600, or a date and time of ISO 8601"
# As databases mean it.
ENDLESS = pa.array([0, 2**63 - 1], pa.int64()).cast(pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        *((["2026", text, "y"], f", row 2: it is {text!r}, {SECONDS}") for text in NO_TIMES.split()),
        *(([0.0, value], f", row 2: it is {value!r}, {SECONDS}") for value in BEYOND),
        (ENDLESS, f", row 2: it is 9223372036854.775, {SECONDS}"),
        *((values, ", row 2: it is empty") for values in (["0", "", "x"], [1, None], [DATES[0], None])),
        *((values, ": column it holds ") for values in ([True], [[1]], [b"2026-01-01"], [dt.time(1)])),
    ],
)
def test_what_is_no_time_is_named_by_row_and_value(values, message):
    with pytest.raises(InputError) as caught:
        seconds(values)
    assert str(caught.value).startswith(f"data.csv{message}")
    assert values is ENDLESS or "milliseconds" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1_767_225_600_000, "milliseconds? 1767225600000 would be 2026-01-01T00:00:00Z: divide"),
        (4_100_000_000_000, "milliseconds?)"),
        (1_767_225_600_000_000, "microseconds? 1767225600000000 would be 2026-01-01T00:00:00Z"),
        (20_260_115_123_000, "dates in digits, YYYYMMDDHHMMSS (ISO 8601's basic form)? write them wi"),
    ],
)
@pytest.mark.parametrize("kind", [pa.string(), pa.decimal128(20, 0)])
def test_another_unit_is_guessed_where_seconds_would_be_far_away(value, hint, kind):
    with pytest.raises(InputError, match=rf"^data.csv, row 1: it is .*are these {re.escape(hint)}"):
        seconds([str(value) if kind == pa.string() else value], kind)


def check(values, kind=None):
    return timestamps.check(read(values, kind), now=NOW)


def refused(values, kind=None):
    with pytest.raises(InputError) as caught:
        check(values, kind)
    return str(caught.value)


def date(seconds):
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)


def as_numbers(seconds):
    """The same times in each way that columns of numbers have them."""
    return [([*seconds], pa.int64()), ([*seconds], pa.float64()), ([*map(str, seconds)], None)]


def as_dates(seconds):
    dates = [date(time) for time in seconds]
    return [([f"{day.isoformat()}Z" for day in dates], None), (dates, pa.timestamp("us"))]


RECENT = st.lists(st.integers(int(NOW - 19 * YEAR), int(NOW) + DAY), min_size=1)


@given(RECENT, st.integers(1, 5 * YEAR), st.integers(1, 4))
def test_times_of_the_last_twenty_years_are_taken_and_those_a_day_ahead_are_refused(
    seconds, further, count
):
    ahead = int(NOW) + DAY + further
    bad = [ahead + DAY * position for position in range(count)]
    for values, kind in as_numbers(seconds) + as_dates(seconds):
        assert check(values, kind) == []
    for values, kind in as_numbers([*seconds, *bad]) + as_dates([*seconds, *bad]):
        message = refused(values, kind)
        assert message.startswith(f"data.csv, row {len(seconds) + 1}: it is ")
        assert f"{date(ahead).isoformat()}Z, more than a day ahead of this machine's clock" in message
        assert "which says 2026-06-30T12:00:00Z" in message
        assert f"{count} of {len(values)} rows" in message
        assert "leave out" in message


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (20_260_115, "(ISO 8601's basic form)? write them with hyphens, 20260115 as 2026-01-15"),
        (46_037, "Excel's serial dates? 46037 would be 2026-01-15T00:00:00Z"),
        (20_468, "days since 1970? 20468 would be 2026-01-15T00:00:00Z: multiply them by 86,400"),
        (491_232, "hours since 1970? 491232 would be 2026-01-15T00:00:00Z: multiply them by 3,600"),
        (29_473_920, "minutes since 1970? 29473920 would be 2026-01-15T00:00:00Z: multiply them by 60"),
        (1_768_435, "seconds since 1970 divided by 1,000? 1768435 would be 2026-01-14T23:56:40Z"),
        (1_768, "seconds since 1970 divided by 1,000,000?"),
        (700_000_000, "seconds since 2001, as Apple's"),
        (2026, "rename the column if it holds no times"),
        (-5, "rename the column if it holds no times"),
    ],
)
def test_numbers_of_another_form_are_refused_with_what_they_look_like(value, hint):
    some = [value, value + 1, value] * 50
    # A few zeros for unknown times don't hide it.
    for values in (some, [*some, 0]):
        for given_values, kind in as_numbers(values):
            message = refused(given_values, kind)
            assert message.startswith(f"data.csv, row 1: it is {value}, which is ")
            assert f"{len(values)} of {len(values)} rows are before 19" in message
            assert hint in message


@given(st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31)))
@example(dt.date(2100, 12, 31))
def test_dates_in_digits_are_never_seconds_and_their_text_is_told_how_to_be_written(day):
    digits, written = f"{day:%Y%m%d}", day.isoformat()
    # Alone, and among others: with hyphens, or as seconds.
    for values in ([digits], [int(digits)], ["2026-01-01T00:00Z", digits], [NOW, NOW, int(digits)]):
        assert f"{digits} as {written}" in refused(values)


def test_digits_with_a_time_are_told_apart():
    hours = "YYYYMMDDHH (ISO 8601's basic form)? write them with hyphens, 2030011512 as 2030-01-15T12"
    assert hours in refused([2_030_011_512, 2_030_011_513])
    assert "202601151230 as 2026-01-15T12..." in refused([202_601_151_230])
    # Basic forms with a letter are dates.
    assert check(["20260115T120000Z", "20260116T120000"]) == []


def test_dates_of_before_1971_are_refused_too():
    # The wrong unit of a typed column is guessed.
    message = refused(pa.array([1_768_435_200] * 3).cast(pa.timestamp("ms")))
    assert "3 of 3 rows are before 1971" in message
    assert "1970 divided by 1,000? " in message
    for dates in ([date(-1e10)] * 2, ["1970-01-21T11:13:55Z", "1970-01-21"]):
        assert "2 of 2 rows are before 1971" in refused(dates)


def test_public_datasets_of_the_nineties_can_be_used_and_are_warned_of():
    # MovieLens 100K.
    first, last = 874_724_710, 893_286_638
    seconds = np.linspace(first, last, 1000, dtype=np.int64).tolist()
    for values, kind in as_numbers(seconds) + as_dates(seconds):
        [warning] = check(values, kind)
        assert f"{date(last).isoformat()}Z, {(NOW - last) / (365.25 * DAY):.0f} years ago" in warning
    # 2026-01-15 in seconds since 2001 may be either.
    [warning] = check([790_128_000 + DAY])
    assert (
        "31 years ago; if that is wrong: are these seconds since 2001, as Apple's systems have them? "
        in warning
    )
    # MovieLens 25M begins in 1995 and ends in 2019.
    assert check([789_652_009, 1_574_327_703]) == []


def test_dates_leave_no_doubt_so_those_of_the_eighties_are_only_warned_of():
    times = [int(dt.datetime(1985, 1, 1, tzinfo=dt.UTC).timestamp()) + DAY * day for day in range(99)]
    for values, kind in as_numbers(times):
        assert "99 of 99 rows are before 1995" in refused(values, kind)
    for values, kind in as_dates(times):
        [warning] = check(values, kind)
        assert warning == "data.csv: the newest it is 1985-04-09T00:00:00Z, 41 years ago"


@pytest.mark.parametrize("unknown", [0, -1, 18_000])
def test_some_times_of_before_1971_are_counted_and_named(unknown):
    [warning] = check([NOW, unknown, NOW, unknown, *[NOW] * 96])
    assert warning.startswith(
        f"data.csv: 2 of 100 rows have a it before 1971, such as row 2 ({unknown}, "
    )
    assert "are these unknown times?" in warning
