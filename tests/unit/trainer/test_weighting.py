from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.errors import InputError, OptionError
from trainer.weighting import DAY, weigh, weigh_together

WEIGHTS = {"view": 1.0, "buy": 5.0, "dislike": -2.0, "skip": 0.0}
ROWS = st.lists(
    st.tuples(
        st.sampled_from("uvw"),
        st.sampled_from("abc"),
        st.sampled_from([1.0, 2.5, 0.0, -1.0]),
        st.integers(0, 200_000_000),
        st.sampled_from([*WEIGHTS]),
    ),
    min_size=1,
    max_size=30,
)
DAYS = st.floats(0.01, 10_000)


def made(rows, **changes):
    columns = {
        "timestamps": [float(time) for *_, time, _ in rows],
        "events": [event for *_, event in rows],
    }
    return datasets.interactions([row[:3] for row in rows], **{**columns, **changes})


def weighed(interactions, *, event_weights=None, half_life_days=None, last_days=None, now=None):
    return weigh(
        interactions,
        event_weights=event_weights or {},
        half_life_days=half_life_days,
        last_days=last_days,
        now=now,
    )


def as_rows(read):
    return [
        (read.user_ids[user], read.item_ids[item], time, read.event_types[event])
        for user, item, time, event in zip(
            read.users, read.items, read.timestamps.tolist(), read.events, strict=True
        )
    ]


@given(ROWS, st.none() | DAYS, st.none() | DAYS, st.booleans())
def test_each_row_is_weighed_by_event_and_age_and_the_old_are_left_out(rows, half_life, last, by_event):
    found = weighed(
        made(rows),
        event_weights=WEIGHTS if by_event else {},
        half_life_days=half_life,
        last_days=last,
    )
    newest = max(time for *_, time, _ in rows)
    kept = [row for row in rows if last is None or (newest - row[3]) / DAY <= last]
    assert as_rows(found) == [(user, item, time, event) for user, item, _, time, event in kept]
    assert found.weights.dtype == np.float32
    expected = [
        weight
        * (WEIGHTS[event] if by_event else 1)
        * (1 if half_life is None else 0.5 ** ((newest - time) / DAY / half_life))
        for _, _, weight, time, event in kept
    ]
    tiny = float(np.finfo(np.float32).tiny)
    for weight, exact in zip(found.weights.tolist(), expected, strict=True):
        assert weight == pytest.approx(exact, rel=1e-5, abs=tiny)


@given(ROWS, DAYS)
def test_decay_makes_no_positive_of_another_and_no_positive_none(rows, half_life):
    found = weighed(made(rows), half_life_days=half_life)
    np.testing.assert_array_equal(np.sign(found.weights), np.sign(made(rows).weights))


@given(ROWS, DAYS, st.integers(-(10**9), 10**9))
def test_only_differences_of_time_matter(rows, half_life, shift):
    shifted = [(*row[:3], row[3] + shift, row[4]) for row in rows]
    np.testing.assert_allclose(
        weighed(made(shifted), half_life_days=half_life).weights,
        weighed(made(rows), half_life_days=half_life).weights,
        rtol=1e-5,
    )


@given(ROWS)
def test_without_options_nothing_changes(rows):
    interactions = made(rows)
    assert weighed(interactions) is interactions


def test_a_half_life_halves():
    interactions = datasets.interactions(
        [("u", item, 4.0) for item in "abc"], timestamps=[0.0, 10 * DAY, 20 * DAY]
    )
    assert weighed(interactions, half_life_days=10).weights.tolist() == [1.0, 2.0, 4.0]
    # Relative to another time, at which the newest wasn't there yet.
    assert weighed(interactions, half_life_days=10, now=10 * DAY).weights.tolist() == [2.0, 4.0, 4.0]
    assert weighed(interactions, half_life_days=10, now=30 * DAY).weights.tolist() == [0.5, 1.0, 2.0]


def test_what_is_exactly_as_old_as_allowed_is_kept():
    interactions = datasets.interactions(
        [("u", item, 1.0) for item in "abc"], timestamps=[20 * DAY, 10 * DAY, 10 * DAY - 1]
    )
    left = weighed(interactions, last_days=10)
    assert (left.item_ids, len(left)) == (["a", "b"], 2)


def test_when_all_is_too_old_it_is_told():
    interactions = datasets.interactions([("u", "a", 1.0)], timestamps=[0.0])
    with pytest.raises(InputError, match=r"interactions\.csv: none of 1 interactions is of the last 2"):
        weighed(interactions, last_days=2, now=3 * DAY)


def test_an_event_without_a_weight_is_named_with_its_row_and_those_that_have_one():
    rows = [("u", "a", 1.0, 0, "view"), ("u", "b", 1.0, 0, "share"), ("u", "c", 1.0, 0, "share")]
    with pytest.raises(InputError) as caught:
        weighed(made(rows), event_weights=WEIGHTS)
    assert str(caught.value) == (
        "interactions.csv, row 2: event 'share' has no weight; "
        "--event-weights has: view, buy, dislike, skip"
    )


@pytest.mark.parametrize(
    ("options", "column", "option"),
    [
        ({"event_weights": WEIGHTS}, "event", "--event-weights"),
        ({"half_life_days": 1}, "timestamp", "--half-life-days"),
        ({"last_days": 1}, "timestamp", "--last-days"),
    ],
)
def test_a_column_that_is_needed_is_named(options, column, option):
    interactions = datasets.interactions([("u", "a", 1.0)])
    with pytest.raises(InputError, match=f"there is no column {column}, which {option} needs"):
        weighed(interactions, **options)


@pytest.mark.parametrize("option", ["half_life_days", "last_days"])
@pytest.mark.parametrize("days", [0.0, -1.0, math.nan, math.inf])
def test_days_that_are_none_are_refused(option, days):
    with pytest.raises(
        OptionError, match=f"--{option.replace('_', '-')} is .*, but should be a number"
    ):
        weighed(made([("u", "a", 1.0, 0, "view")]), **{option: days})


@pytest.mark.parametrize("weight", [math.nan, -math.inf])
def test_a_weight_of_an_event_that_is_not_finite_is_refused(weight):
    with pytest.raises(OptionError, match=f"--event-weights is 'buy={weight}', but should be finite"):
        weighed(made([("u", "a", 1.0, 0, "view")]), event_weights={"view": 1.0, "buy": weight})


def test_a_weight_that_becomes_too_large_is_named_by_its_row():
    rows = [("u", "a", 1.0, 0, "view"), ("u", "a", 1e30, 0, "view")]
    with pytest.raises(InputError, match=r"row 2: the weight 1e\+30 becomes 1e\+60"):
        weighed(made(rows), event_weights={"view": 1e30})


def test_nothing_to_weigh_is_told():
    empty = made([("u", "a", 1.0, 0, "view")]).where(np.array([False]))
    with pytest.raises(InputError, match=r"interactions\.csv: there is no interaction"):
        weighed(empty)


def test_a_row_is_named_as_it_was_before_the_old_ones_were_left_out():
    rows = [("u", "a", 1.0, 0, "view"), ("u", "b", 1.0, 200_000_000, "view")]
    rows += [("u", "c", 1.0, 200_000_000, "unknown")]
    with pytest.raises(InputError, match=r"interactions\.csv, row 3: event 'unknown' has no weight"):
        weighed(made(rows), event_weights=WEIGHTS, last_days=1.0)


def test_without_types_all_have_the_weight_of_those_without():
    rows = [("u", "a", 2.0, 0, "")]
    for events in ([""], None):
        found = weighed(made(rows, events=events), event_weights={"view": 1.0, "": 5.0})
        assert found.weights.tolist() == [10.0]
        with pytest.raises(InputError, match="--event-weights =1 gives 1 to interactions without"):
            weighed(made(rows, events=events), event_weights={"view": 1.0})


@given(ROWS, ROWS, st.none() | DAYS, st.none() | DAYS)
def test_parts_are_weighed_as_if_they_were_one(first, second, half_life, last):
    options = {"event_weights": WEIGHTS, "half_life_days": half_life, "last_days": last}
    parts = weigh_together([made(first), made(second)], **options)
    whole = weigh(made([*first, *second]), **options)
    assert [row for part in parts for row in as_rows(part)] == as_rows(whole)
    assert np.concatenate([part.weights for part in parts]).tolist() == whole.weights.tolist()
    assert [bool(part.warnings) for part in parts] == [not len(part) for part in parts]
