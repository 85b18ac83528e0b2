from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.times import plausible_times, timestamps
from trainer.errors import InputError

PATH = Path("data.csv")
DAY = 86_400
YEAR = 365 * DAY
# 2026-06-30T12:00:00Z
NOW = 1_782_820_800.0


def check(values, kind=None):
    made = values if isinstance(values, pa.Array) else pa.array(values, kind)
    times = timestamps.read(PATH, pa.table({"it": made}), "it", now=NOW)
    return plausible_times.check(PATH, "it", times, now=NOW)


def refused(values, kind=None):
    with pytest.raises(InputError) as caught:
        check(values, kind)
    return str(caught.value)


def date(seconds):
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)


def as_numbers(seconds):
    yield list(seconds), pa.int64()
    yield list(seconds), pa.float64()
    yield [str(time) for time in seconds], None


def as_dates(seconds):
    dates = [date(time) for time in seconds]
    yield [f"{day.isoformat()}Z" for day in dates], None
    yield dates, pa.timestamp("us")


def all_forms(seconds):
    """The same times in each way that columns have them."""
    yield from as_numbers(seconds)
    yield from as_dates(seconds)


RECENT = st.lists(st.integers(int(NOW - 19 * YEAR), int(NOW) + DAY), min_size=1)


@given(RECENT, st.integers(1, 5 * YEAR), st.integers(1, 4))
def test_times_of_the_last_twenty_years_are_taken_and_those_a_day_ahead_are_refused(
    seconds, further, count
):
    ahead = int(NOW) + DAY + further
    bad = [ahead + DAY * position for position in range(count)]
    for values, kind in all_forms(seconds):
        assert check(values, kind) == []
    for values, kind in all_forms([*seconds, *bad]):
        message = refused(values, kind)
        assert message.startswith(f"data.csv, row {len(seconds) + 1}: it is ")
        assert f"{date(ahead).isoformat()}Z, more than a day ahead of this machine's clock" in message
        assert "which says 2026-06-30T12:00:00Z" in message
        assert f"{count} of {len(values)} rows" in message
        assert "leave out" in message


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (
            20_260_115,
            "YYYYMMDD (ISO 8601's basic form)? write them with hyphens, 20260115 as 2026-01-15",
        ),
        (19_980_422, "19980422 as 1998-04-22"),
        (46_037, "Excel's serial dates? 46037 would be 2026-01-15T00:00:00Z"),
        (20_468, "days since 1970? 20468 would be 2026-01-15T00:00:00Z: multiply them by 86,400"),
        (491_232, "hours since 1970? 491232 would be 2026-01-15T00:00:00Z: multiply them by 3,600"),
        (29_473_920, "minutes since 1970? 29473920 would be 2026-01-15T00:00:00Z: multiply them by 60"),
        (1_768_435, "seconds since 1970 divided by 1,000? 1768435 would be 2026-01-14T23:56:40Z"),
        (1_768, "seconds since 1970 divided by 1,000,000?"),
        (700_000_000, "seconds since 2001, as Apple's"),
        (3, "seconds since 1970, as 1767225600, or a date and time of ISO 8601"),
        (2026, "another name if it holds no times"),
        (-5, "another name if it holds no times"),
    ],
)
def test_numbers_of_another_form_are_refused_with_what_they_look_like(value, hint):
    some = [value, value + 1, value] * 50
    # A few zeros for unknown times don't hide it.
    for values in (some, [*some, 0]):
        for given_values, kind in as_numbers(values):
            message = refused(given_values, kind)
            assert message.startswith(f"data.csv, row 1: it is {value}, which is ")
            assert f"{len(values)} of {len(values)} rows are of before 19" in message
            assert hint in message


@given(st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31)))
def test_dates_in_digits_are_never_seconds_and_their_text_is_told_how_to_be_written(day):
    digits, written = f"{day:%Y%m%d}", day.isoformat()
    # Alone, and among others: with hyphens, or as seconds.
    for values in ([digits], [int(digits)], ["2026-01-01T00:00Z", digits], [NOW, NOW, int(digits)]):
        assert f"{digits} as {written}" in refused(values)


def test_digits_with_a_time_are_told_apart():
    hours = refused([2_030_011_512, 2_030_011_513])
    assert "YYYYMMDDHH (ISO 8601's basic form)? write them with hyphens, " in hours
    assert "2030011512 as 2030-01-15T12" in hours
    assert "202601151230 as 2026-01-15T12..." in refused([202_601_151_230])
    # Basic forms with a letter are dates.
    assert check(["20260115T120000Z", "20260116T120000"]) == []


@pytest.mark.parametrize(
    ("values", "kind", "hint"),
    [
        # The wrong unit of a typed column is guessed.
        (pa.array([1_768_435_200] * 3).cast(pa.timestamp("ms")), None, "1970 divided by 1,000? "),
        ([dt.datetime(1, 1, 1)] * 3, pa.timestamp("us"), ""),  # noqa: DTZ001
        ([dt.date(1899, 12, 30)], None, ""),
        (["1970-01-21T11:13:55Z", "1970-01-21"], None, ""),
    ],
)
def test_dates_of_before_1971_are_refused_too(values, kind, hint):
    message = refused(values, kind)
    assert f"{len(values)} of {len(values)} rows are of before 1971" in message
    assert hint in message


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(825_000_000, 874_000_000, id="EachMovie"),
        pytest.param(874_724_710, 893_286_638, id="MovieLens 100K"),
        pytest.param(956_703_932, 1_046_454_590, id="MovieLens 1M"),
        pytest.param(942_192_000, 1_135_987_200, id="Netflix Prize"),
    ],
)
def test_public_datasets_of_the_nineties_can_be_used_and_are_warned_of(first, last):
    seconds = np.linspace(first, last, 1000, dtype=np.int64).tolist()
    for values, kind in all_forms(seconds):
        [warning] = check(values, kind)
        assert f"{date(last).isoformat()}Z, {(NOW - last) / (365.25 * DAY):.0f} years ago" in warning
    # MovieLens 25M begins in 1995 and ends in 2019.
    assert check([789_652_009, 1_574_327_703]) == []


def test_dates_leave_no_doubt_so_those_of_the_eighties_are_only_warned_of():
    times = [int(dt.datetime(1985, 1, 1, tzinfo=dt.UTC).timestamp()) + DAY * day for day in range(99)]
    for values, kind in as_numbers(times):
        assert "99 of 99 rows are of before 1995" in refused(values, kind)
    for values, kind in as_dates(times):
        [warning] = check(values, kind)
        assert warning == "data.csv: the newest it is 1985-04-09T00:00:00Z, 41 years ago"


@pytest.mark.parametrize("unknown", [0, -1, 18_000])
def test_some_times_of_before_1971_are_counted_and_named(unknown):
    [warning] = check([NOW, unknown, NOW, unknown, *[NOW] * 96])
    assert warning.startswith(
        f"data.csv: 2 of 100 rows have a it of before 1971, such as row 2 ({unknown}, "
    )
    assert "is that how an unknown time is written?" in warning


def test_what_apples_systems_count_is_guessed_where_it_may_be_right():
    # 2026-01-15 in seconds since 2001.
    [warning] = check([790_128_000 + DAY])
    assert "31 years ago: are these seconds since 2001, as Apple's systems have them? " in warning
