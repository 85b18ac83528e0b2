"""Intervals hold the true mean as often as they promise, and say when users are too few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trainer.evaluation.confidence import mean_interval, share_interval, standard_error, too_few

shares = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=300)


@given(shares)
def test_an_interval_is_within_the_possible_shares_and_around_the_mean(values):
    own = np.array(values)
    found = share_interval(float(own.mean()), standard_error(own), len(own))
    assert 0 <= found.low <= found.mean <= found.high <= 1
    # It is never empty: users who weren't evaluated may differ from all that were.
    assert found.high - found.low > 0


@pytest.mark.parametrize(("users", "true"), [(27, 0.1), (100, 0.03), (400, 0.5)])
def test_intervals_hold_the_true_mean_in_95_of_100_cases(users, true):
    random = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        own = random.binomial(10, true, users) / 10
        found = share_interval(float(own.mean()), standard_error(own), users)
        held += found.low <= true <= found.high
    assert held / 2000 == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("users", [2, 3, 4, 5, 8, 28, 101, 10_000])
def test_the_interval_of_a_proportion_is_wilsons_with_the_quantile_of_student(users):
    own = np.arange(users) % 2
    error = float(np.sqrt(own.mean() * (1 - own.mean()) / users))
    square = stats.t.ppf(0.975, users - 1) ** 2
    p = own.mean()
    half = np.sqrt(square * (p * (1 - p) / users + square / (4 * users**2))) / (1 + square / users)
    centre = (p + square / (2 * users)) / (1 + square / users)
    found = share_interval(float(p), error, users)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), rel=0.005)


def test_where_all_users_have_nothing_the_interval_tells_what_may_be():
    found = share_interval(0.0, 0.0, 100)
    # The rule of three gives 3 / 100.
    assert (found.low, found.high) == (0.0, pytest.approx(0.038, abs=0.005))
    assert share_interval(1.0, 0.0, 100).low == pytest.approx(0.962, abs=0.005)
    assert (share_interval(0.3, None, 1).low, share_interval(0.3, None, 1).high) == (0.0, 1.0)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=50))
def test_the_interval_of_a_mean_is_that_of_students_t(values):
    own = np.array(values)
    found = mean_interval(own)
    half = stats.t.ppf(0.975, len(own) - 1) * stats.sem(own)
    assert found.mean == pytest.approx(own.mean())
    halves = (found.mean - found.low, found.high - found.mean)
    assert halves == pytest.approx((half, half), rel=0.01, abs=1e-12)
    alone = mean_interval(own[:1])
    assert (alone.low, alone.high) == (-np.inf, np.inf)


def test_few_users_and_wide_intervals_are_too_few():
    assert too_few(share_interval(0.5, 0.001, 99), 99)
    assert not too_few(share_interval(0.5, 0.01, 100), 100)
    assert too_few(share_interval(0.01, 0.005, 5000), 5000)
    assert too_few(share_interval(0.0, 0.0, 5000), 5000)


def test_a_standard_error_leaves_out_what_is_not_defined():
    assert standard_error(np.array([1.0, np.nan])) is None
    assert standard_error(np.array([])) is None
    assert standard_error(np.array([0.0, 1.0, np.nan])) == pytest.approx(0.5)
    values = np.random.default_rng(1).random(50)
    assert standard_error(values) == pytest.approx(stats.sem(values))
