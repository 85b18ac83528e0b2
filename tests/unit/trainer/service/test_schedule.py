from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import specs
from trainer.errors import InputError, OptionError
from trainer.service.schedule import PREFIX, Changed, Cron, Every, parse_duration, request_id

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@given(st.integers(1, 31_622_400), st.sampled_from("smhd"))
@example(366, "d")
def test_a_duration_is_a_number_and_its_unit(number, unit):
    seconds = number * UNITS[unit]
    text = f" {number}{unit} "
    if seconds > 366 * 86400:
        with pytest.raises(OptionError):
            parse_duration(text, option="--keep-for")
    else:
        assert parse_duration(text, option="--keep-for") == timedelta(seconds=seconds)
        assert parse_duration(f"0.5{unit}", option="-") == timedelta(seconds=UNITS[unit] / 2)


@given(st.text(max_size=8))
@example("")
@example("h")
@example("-1h")
@example("0s")
@example("1e3s")
@example("1h30m")
@example("1H")
@example(".5h")
@example("367d")
@example("9" * 400 + "d")
def test_anything_else_is_refused_with_the_options_name(text):
    try:
        found = parse_duration(text, option="--keep-for")
    except OptionError as error:
        refusal = error
    else:
        assert text.strip()[-1] in UNITS
        assert timedelta(0) < found <= timedelta(days=366)
        return
    assert (refusal.option, refusal.value) == ("--keep-for", text)
    assert "90s, 15m, 1h or 7d" in refusal.expected


@given(st.floats(0.1, 1e6), st.lists(st.floats(0, 1e9), max_size=20))
def test_an_interval_has_one_occasion(seconds, times):
    schedule = Every(seconds)
    by_interval: dict[int, set[str]] = {}
    for now in times:
        by_interval.setdefault(int(now // seconds), set()).add(schedule.occasion(now))
    assert all(len(names) == 1 for names in by_interval.values())
    assert len(set.union(set(), *by_interval.values())) == len(by_interval)
    # A service that was restarted names it the same.
    assert all(Every(seconds).occasion(now) == schedule.occasion(now) for now in times)
    assert Every(60.0).occasion(NOW) != Every(3600.0).occasion(NOW)


def test_cron_has_no_occasion_before_its_time_and_of_several_the_last():
    cron = Cron("30 12 * * *", now=NOW)
    assert cron.occasion(NOW + 1799) is None
    assert cron.occasion(NOW + 1800) == "cron 2026-11-24T12:30:00+00:00"
    # The machine slept: the runs aren't made up for.
    assert cron.occasion(NOW + 3 * 86400 + 1800) == "cron 2026-11-27T12:30:00+00:00"


def test_a_restart_within_a_time_does_not_use_it_again():
    used = Cron("0 13 * * *", now=NOW).occasion(NOW + 3600)
    assert used is not None
    later = Cron("0 13 * * *", now=NOW + 3601)
    assert later.occasion(NOW + 7200) is None
    # One that was made just before names it the same, so that its run isn't made twice.
    assert Cron("0 13 * * *", now=NOW + 3599).occasion(NOW + 3600) == used


@given(st.lists(st.floats(0, 5 * 86400), max_size=20), st.integers(0, 59), st.integers(0, 23))
def test_occasions_of_cron_are_the_days_that_have_passed(waits, minute, hour):
    cron = Cron(f"{minute} {hour} * * *", now=NOW)
    for now in sorted(NOW + wait for wait in waits):
        due = datetime.fromtimestamp(now, UTC).replace(
            hour=hour, minute=minute, second=0, microsecond=0
        )
        while due.timestamp() > now:
            due -= timedelta(days=1)
        # The time that this was made at has passed.
        expected = f"cron {due.isoformat()}" if due.timestamp() > NOW else None
        assert cron.occasion(now) == expected


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * *", "0 0 30 2 *", "every day"],
)
def test_what_is_no_cron_expression_is_refused(expression):
    with pytest.raises(OptionError, match=r"--retrain-cron is .* five fields of cron") as caught:
        Cron(expression, now=NOW)
    assert caught.value.value == expression


def test_an_input_has_an_occasion_as_long_as_it_stays_and_can_be_read(tmp_path):
    contents = iter(["a" * 64, "a" * 64, "b" * 64, "b" * 64])
    changed = Changed(lambda: next(contents))
    occasions = [changed.occasion(NOW + number) for number in range(4)]
    assert occasions[0] == occasions[1] != occasions[2] == occasions[3]
    assert Changed(lambda: "a" * 64).occasion(0.0) == occasions[0]

    def missing():
        raise InputError(tmp_path, "No such file or directory")

    with pytest.raises(InputError):
        Changed(missing).occasion(NOW)


@settings(max_examples=30)
@given(specs.training_specs(), specs.training_specs())
def test_a_request_id_stands_for_one_occasion_and_spec(one, other):
    made = request_id("every 60 s, 1", one)
    assert made.startswith(PREFIX)
    assert made == request_id("every 60 s, 1", one)
    assert made != request_id("every 60 s, 2", one)
    assert (made == request_id("every 60 s, 1", other)) == (one == other)
    # What a caller may send fits too.
    assert len(made.encode()) <= 128
