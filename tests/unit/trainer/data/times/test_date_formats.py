"""Times are read in the form that --date-format names, and the form of a column is guessed."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.times import date_formats, date_guesses, formed_times
from trainer.data.times.date_formats import PATTERNS, parse
from trainer.errors import OptionError

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
SECONDS = st.integers(820_454_400, 1_767_139_200)
TIMES = SECONDS.map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def column(*values):
    return pa.chunked_array([pa.array(values)])


def written(when, form):
    """A time as a file has it: without leading zeros."""
    text = when.strftime(parse(form).pattern)
    return text.replace("/0", "/").removeprefix("0")


@pytest.mark.parametrize("form", ["s", "ms", "us", "ns"])
def test_numbers_are_read_in_their_unit(form):
    seconds = 1_433_221_332
    number = seconds * int(date_formats.UNITS[form])
    for values in (column(number), column(str(number)), column(f" {number} ")):
        assert formed_times.seconds_or_nan(values, parse(form)).tolist() == [seconds]
    assert date_guesses.guess(column(str(number), str(number)), now=NOW) == (
        [] if form == "s" else [form]
    )


@given(
    TIMES,
    st.sampled_from(["d/m/Y H:M", "m/d/Y H:M:S", "d.m.Y", "Y/m/d", "%d-%b-%Y", "m d, Y", "d/m/y"]),
)
def test_a_time_is_read_as_it_was_written(when, form):
    pattern = parse(form).pattern
    text = when.strftime(pattern)
    [seconds] = formed_times.seconds_or_nan(column(text), parse(form))
    assert datetime.fromtimestamp(seconds, UTC).strftime(pattern) == text


def test_letters_that_stand_alone_are_directives():
    assert parse("d/m/Y H:M") == parse("%d/%m/%Y %H:%M")
    assert parse("b d, Y") == parse("%b %d, %Y")
    assert parse("%d.%m.%Y um %H Uhr").pattern == "%d.%m.%Y um %H Uhr"
    assert parse("iso").seconds("2020-01-01T01:00:00+01:00") == 1_577_836_800.0


@pytest.mark.parametrize("text", ["", "H:M", "d/m", "minutes", "%d/%m/%Y %Q", "dd/mm/yyyy", "%", "Y"])
def test_a_form_without_a_day_is_refused(text):
    with pytest.raises(OptionError, match="--date-format"):
        parse(text)


@given(
    st.lists(TIMES, min_size=30, max_size=40, unique=True), st.sampled_from(["d/m/Y H:M", "m/d/Y H:M"])
)
def test_the_order_of_day_and_month_is_told_by_the_days_after_the_twelfth(times, form):
    found = date_guesses.guess(column(*(written(when, form) for when in times)), now=NOW)
    assert form in found
    if sum(when.day > 12 for when in times) > len(times) // 5:
        assert found == [form]


def test_the_order_of_a_sorted_file_settles_what_the_days_do_not():
    values = column("1/2/2020", "1/3/2020", "1/4/2020", "2/1/2020")
    assert date_guesses.guess(values, now=NOW) == ["m/d/Y"]
    values = column("1/2/2020", "4/3/2020", "1/4/2020", "2/1/2020")
    assert date_guesses.guess(values, now=NOW) == ["d/m/Y", "m/d/Y"]


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["09 13, 2009", "11 1, 2012"], ["m d, Y"]),
        (["20200131", "20200201"], ["%Y%m%d"]),
        (["2020-01-31 10:00:00", "2020-02-01"], []),
        (["1700000000", "1700000001"], []),
        (["1", "2"], []),
        (["soon", "later"], []),
        (["31.12.2020 23:59:59", "1.1.2021 0:00:00", *["x"] * 0], ["d.m.Y H:M:S"]),
        ([*["13/1/2020"] * 19, "unknown"], ["d/m/Y"]),
    ],
)
def test_forms_are_guessed(values, form):
    assert date_guesses.guess(column(*values), now=NOW) == form


def test_all_patterns_are_forms():
    assert all(parse(form).pattern for form in PATTERNS)
