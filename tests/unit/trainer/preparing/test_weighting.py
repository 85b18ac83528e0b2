import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.errors import InputError, OptionError
from trainer.preparing.weighting import DAY, weigh

WEIGHTS = {"view": 1.0, "buy": 5.0, "dislike": -2.0, "skip": 0.0}
WHO_AND_WHAT = map(st.sampled_from, ("uvw", "abc", [1.0, 2.5, 0.0, -1.0]))
ROW = st.tuples(*WHO_AND_WHAT, st.integers(0, 200_000_000), st.sampled_from([*WEIGHTS]))
# Fewer than those among which one can be far newer than all others.
ROWS = st.lists(ROW, min_size=1, max_size=9)
DAYS = st.floats(0.01, 10_000)
VIEW = ("u", "a", 1.0, 0, "view")


def made(rows, **changes):
    times, events = [float(time) for *_, time, _ in rows], [event for *_, event in rows]
    return datasets.interactions(
        [row[:3] for row in rows], **{"timestamps": times, "events": events, **changes}
    )


def weighed(interactions, **options):
    [found] = weigh([interactions], **options)
    return found


def refused(*arguments, **options):
    with pytest.raises((InputError, OptionError)) as caught:
        weighed(*arguments, **options)
    return str(caught.value)


@given(ROWS, st.none() | DAYS, st.none() | DAYS, st.booleans())
def test_each_row_is_weighed_by_event_and_age_and_the_old_are_left_out(rows, half_life, last, by_event):
    options = {"half_life_days": half_life, "last_days": last}
    options["event_weights"] = WEIGHTS if by_event else {}
    found = weighed(made(rows), **options)
    newest = max(time for *_, time, _ in rows)
    kept = [row for row in rows if last is None or (newest - row[3]) / DAY <= last]
    same = [(user, item, time, event) for user, item, _, time, event in kept]
    assert [(*row[:2], *row[3:]) for row in datasets.as_rows(found)] == same
    assert found.weights.dtype == np.float32
    tiny = float(np.finfo(np.float32).tiny)
    for found_weight, (_, _, weight, time, event) in zip(found.weights.tolist(), kept, strict=True):
        exact = weight * (WEIGHTS[event] if by_event else 1)
        # Decay makes no positive of another, and no positive none.
        assert np.sign(found_weight) == np.sign(exact)
        exact *= 1 if half_life is None else 0.5 ** ((newest - time) / DAY / half_life)
        assert found_weight == pytest.approx(exact, rel=1e-5, abs=tiny)


def test_what_is_exactly_as_old_as_allowed_is_kept():
    interactions = datasets.interactions(
        [("u", item, 1.0) for item in "abc"], timestamps=[20 * DAY, 10 * DAY, 10 * DAY - 1]
    )
    left = weighed(interactions, last_days=10)
    assert (left.item_ids, len(left)) == (["a", "b"], 2)
    newest = datasets.interactions([("newest", "newest", 1.0)], timestamps=[23 * DAY])
    nothing, _ = weigh([interactions, newest], last_days=2)
    assert len(nothing) == 0
    assert nothing.warnings == ["none of 3 interactions of interactions.csv is from the last 2 days"]


def test_an_event_without_a_weight_is_named_with_its_row_and_those_that_have_one():
    """The row is that of the file, before the old ones were left out."""
    events = ["view", "buy", "share", "share"]
    rows = [("u", event, 1.0, 10**9 * bool(row), event) for row, event in enumerate(events)]
    for last in (None, 1.0):
        assert refused(made(rows), event_weights=WEIGHTS, last_days=last) == (
            "interactions.csv, row 3: event 'share' has no weight; "
            "--event-weights has: view, buy, dislike, skip"
        )


def test_a_column_that_is_needed_is_named():
    for option, value, column in (
        ("event_weights", WEIGHTS, "event"),
        ("half_life_days", 1, "timestamp"),
        ("last_days", 1, "timestamp"),
    ):
        needs = f"there is no column {column}, which --{option.replace('_', '-')} needs"
        assert needs in refused(datasets.interactions([VIEW[:3]]), **{option: value})


def test_a_weight_that_becomes_too_large_is_named_by_its_row():
    rows = made([VIEW, ("u", "a", 1.0, 5 * DAY, "view"), ("u", "a", 1e5, 5 * DAY, "buy")])
    message = refused(rows, event_weights={"view": 1e5, "buy": 1e5}, last_days=1)
    assert "row 3: the weight 100000 becomes 1e+10, which is too large" in message
    fine = weighed(rows, event_weights={"view": 1e5, "buy": 1e4}, last_days=1)
    assert fine.weights.tolist() == [1e5, 1e9]


def at(days):
    """A like at each of these days, in this order."""
    rows = [(f"u{row % 7}", f"i{row % 5}", 1.0) for row in range(len(days))]
    return datasets.interactions(rows, timestamps=[day * DAY for day in days])


def a_year(interactions_a_day):
    return [10_000 + row / interactions_a_day for row in range(365 * interactions_a_day)]


@pytest.mark.parametrize(
    ("options", "effect"),
    [
        ({"last_days": 30}, "all others are left out"),
        ({"half_life_days": 30}, "all others hardly count"),
        ({"half_life_days": 30, "last_days": 5000}, "all others hardly count"),
    ],
)
@pytest.mark.parametrize(("many", "few", "gap"), [(2, 7, 200), (1, 1, 3650), (20, 70, 200)])
def test_a_few_that_are_far_newer_than_all_others_are_refused(options, effect, many, few, gap):
    days = a_year(many)
    newest = days[-1]
    # In the middle of the file.
    days[50:50] = [newest + gap + 40 * row for row in range(few)]
    message = refused(at(days), **options)
    assert message.startswith("interactions.csv, row 51: timestamp is ")
    assert f"{len(days) - few} of {len(days)} interactions are of 1998-05-" in message
    assert f" and before, {gap:,} days earlier; " in message
    assert f"because of {few} {'row' if few == 1 else 'rows'} all others" in message
    assert f"--{next(iter(options)).replace('_', '-')} counts from the newest" in message
    assert effect in message


@pytest.mark.parametrize(
    "days",
    [
        a_year(3),
        # Pauses as long as the window, but with many after them.
        [*range(300), *range(400, 420)],
        # Ten years, ever more of it.
        [10_000 + 3650 * math.sqrt(row / 5000) for row in range(5000)],
        # All at once.
        [10_000.0] * 500,
        # What is far older harms nothing.
        [0, 1, 2, *a_year(3)],
    ],
)
@pytest.mark.parametrize("options", [{"last_days": 30}, {"half_life_days": 30}])
def test_long_histories_without_such_a_gap_are_weighed(days, options):
    assert len(weighed(at(days), **options)) > 10


def test_the_gap_is_measured_by_what_is_asked_for():
    of = at([*a_year(2), 10_365 + 100])
    assert len(weighed(of, last_days=200)) > 100
    assert weighed(of, half_life_days=30).weights.max() == 1


@pytest.mark.parametrize(
    ("options", "effect"),
    [
        ({"half_life_days": 15}, "hardly count by --half-life-days"),
        ({"last_days": 90}, "are left out by --last-days"),
    ],
)
@pytest.mark.parametrize("old", [20, 90, 160])
def test_many_that_only_a_gap_makes_too_old_are_warned_of(options, effect, old):
    # As of devices whose clocks are a year behind.
    days = [10_000 + row / 3 - 365 * (row * 7919 % 180 < old) for row in range(180)]
    [warning] = weighed(at(days), **options).warnings
    count = f"{old} of 180 interactions ({old / 180:.1%})"
    assert warning.startswith(f"interactions.csv: {count} {effect}: ")
    assert warning.endswith("is a clock wrong?")
    # A window that reaches over the gap makes nothing old.
    assert not weighed(at(days), **dict.fromkeys(options, 400)).warnings


def test_gaps_that_make_nothing_old_are_not_warned_of():
    days = [*range(10_000, 10_100), *range(10_200, 10_350)]
    # The time since is longer than the gap, and than what counts.
    assert not weighed(at(days), half_life_days=10).warnings


def test_a_small_share_that_is_kept_is_warned_of_with_the_numbers():
    read = replace(at(a_year(2)), warnings=["odd"])
    # Those of the reading stay.
    odd, warning = weighed(read, last_days=10).warnings
    assert odd == "odd"
    kept = "--last-days 10 keeps only 21 of 730 interactions of interactions.csv (2.9%)"
    assert warning.startswith(kept)
    assert warning.endswith("which range from 1997-05-19T00:00:00Z to 1998-05-18T12:00:00Z")
    assert weighed(read, last_days=40).warnings == ["odd"]


def test_without_types_all_have_the_weight_of_those_without():
    rows = [("u", "a", 2.0, 0, "")]
    for events in ([""], None):
        of = made(rows, events=events)
        assert weighed(of, event_weights={"view": 1.0, "": 5.0}).weights.tolist() == [10.0]
        message = refused(of, event_weights={"view": 1.0})
        assert "--event-weights =1 gives weight 1 to interactions without" in message


@given(ROWS, ROWS, st.none() | DAYS, st.none() | DAYS)
def test_parts_are_weighed_as_if_they_were_one(first, second, half_life, last):
    weighing = {"event_weights": WEIGHTS, "half_life_days": half_life, "last_days": last}
    try:
        [whole] = weigh([made([*first, *second])], **weighing)
    except InputError as error:
        # Together they are enough for some to be far newer than all others.
        with pytest.raises(InputError, match=re.escape(error.reason)):
            weigh([made(first), made(second)], **weighing)
        return
    parts = weigh([made(first), made(second)], **weighing)
    assert [row for part in parts for row in datasets.as_rows(part)] == datasets.as_rows(whole)
    assert all(part.warnings for part in parts if not len(part))
