from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import specs
from trainer.errors import OptionError
from trainer.service.schedule import PREFIX, Cron, every, request_id

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()


@given(st.floats(0.1, 1e6), st.lists(st.floats(0, 1e9), max_size=20))
def test_an_interval_has_one_occasion(seconds, times):
    by_interval: dict[int, set[str]] = {}
    for now in times:
        # A service that was restarted names it the same.
        by_interval.setdefault(int(now // seconds), set()).add(every(seconds)(now))
    assert all(len(names) == 1 for names in by_interval.values())
    assert len(set.union(set(), *by_interval.values())) == len(by_interval)
    assert every(60.0)(NOW) != every(3600.0)(NOW)


@given(st.lists(st.floats(0, 5 * 86400), max_size=20), st.integers(0, 59), st.integers(0, 23))
@example([1799, 1800, 3 * 86400], 30, 12)
def test_of_the_times_of_cron_that_have_passed_since_it_was_made_the_last_is_one(waits, minute, hour):
    cron = Cron(f"{minute} {hour} * * *", now=NOW)
    for now in sorted(NOW + wait for wait in waits):
        at = {"hour": hour, "minute": minute, "second": 0, "microsecond": 0}
        due = datetime.fromtimestamp(now, UTC).replace(**at)
        while due.timestamp() > now:
            due -= timedelta(days=1)
        # The time that this was made at has passed.
        expected = f"cron {due.isoformat()}" if due.timestamp() > NOW else None
        assert cron(now) == expected


@pytest.mark.parametrize("expression", ["", "* * * *", "60 * * * *", "0 0 30 2 *", "every day"])
def test_what_is_no_cron_expression_is_refused(expression):
    with pytest.raises(OptionError, match=r"--retrain-cron is .* five fields of cron"):
        Cron(expression, now=NOW)


@settings(max_examples=10)
@given(specs.training_specs(), specs.training_specs())
def test_a_request_id_stands_for_one_occasion_and_spec(one, other):
    made = request_id("every 60 s, 1", one)
    assert made.startswith(PREFIX)
    assert made == request_id("every 60 s, 1", one)
    assert made != request_id("every 60 s, 2", one)
    assert (made == request_id("every 60 s, 1", other)) == (one == other)
    # What a caller may send fits too.
    assert len(made.encode()) <= 128
