from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from trainer.errors import OptionError
from trainer.promotion.gates import Gates
from trainer.promotion.judging import check, doubts
from trainer.promotion.measured import Baseline, Common, Measured

OLD = "20261124T120000Z-3fa9c1"
shares = st.floats(0, 1)


FINE = {
    "evaluated_users": 9,
    "recall_at_10": {layout.SIMILAR: 0.99, layout.RECOMMEND: 0.97},
    "target_recall": 0.95,
}


def results(gates, **measured):
    return {result.name: result for result in check(gates, Measured(**{**FINE, **measured}))}


def only(gates, **measured):
    """The result of the one gate that is asked for."""
    (name,) = (
        own.name
        for own in fields(Gates)
        if getattr(gates, own.name) is not None and (getattr(gates, own.name) is not False)
    )
    return results(gates, **measured)[name]


def beside(before, after, **others):
    return Baseline(version=OLD, precision_at_10=before, candidate_precision_at_10=after, **others)


def test_some_gates_hold_without_being_asked_for():
    found = results(Gates())
    assert found.keys() == {"evaluated_users", "min_recall"}
    assert all(result.passed for result in found.values())


def test_nobody_evaluated_is_no_pass_unless_it_is_allowed():
    found = results(Gates(), evaluated_users=0)["evaluated_users"]
    assert not found.passed
    assert "nobody was evaluated" in found.text
    assert "--allow-unevaluated" in found.text
    assert results(Gates(allow_unevaluated=True), evaluated_users=0)["evaluated_users"].passed


@pytest.mark.parametrize(
    ("target", "recall", "passed"),
    [
        (0.95, 0.8, True),
        (0.95, 0.79, False),
        (0.5, 0.5, True),
        (0.5, 0.49, False),
        # Versions from before indexes were tuned have no target.
        (None, 0.8, True),
        (None, 0.79, False),
    ],
)
def test_an_index_that_finds_little_is_no_pass_unless_so_little_was_asked_for(target, recall, passed):
    recalls = {layout.SIMILAR: 1.0, layout.RECOMMEND: recall}
    found = results(Gates(), recall_at_10=recalls, target_recall=target)["min_recall"]
    assert found.passed is passed
    assert results(Gates(min_recall=0.1), recall_at_10=recalls)["min_recall"].passed


def common(before, after, *, known=100, error=0.001, **others):
    own = Common(users=120, in_common=known, known=known, before=before, after=after, error=error)
    return beside(before, after, common=own, **others)


@pytest.mark.parametrize(
    ("baseline", "passed"),
    [
        (common(0.2, 0.2), True),
        (common(0.2, 0.101), True),
        (common(0.2, 0.099), False),
        # Of few users chance makes as much.
        (common(0.2, 0.0, error=0.07), True),
        (common(0.0, 0.0), True),
    ],
)
def test_a_loss_of_more_than_half_counts_where_it_is_certain(baseline, passed):
    found = results(Gates(), baseline=baseline)["precision_kept"]
    assert found.passed is passed
    assert f"that version {OLD} knows too" in found.text
    assert results(Gates(allow_different_data=True), baseline=baseline)["precision_kept"].passed
    # Who says how much may be lost has said it.
    assert "precision_kept" not in results(Gates(max_relative_loss=0.9), baseline=baseline)


def test_nothing_is_compared_where_all_was_trained_on():
    own = Common(users=120, in_common=100, known=0)
    found = results(Gates(), baseline=beside(0.9, 0.3, common=own))["precision_kept"]
    assert found.passed
    assert "was trained on all that is held out now" in found.text


def test_a_loss_is_that_on_what_neither_was_trained_on_where_the_other_knows_more():
    biased = common(0.2, 0.19, known=50)
    biased = replace(biased, precision_at_10=0.9, candidate_precision_at_10=0.3, trained_on=0.9)
    found = results(Gates(max_relative_loss=0.1), baseline=biased)["max_relative_loss"]
    assert found.passed
    assert found.measured == pytest.approx(0.05)
    assert "of 50 users, on what neither was trained on" in found.text


@pytest.mark.parametrize(
    ("evaluated", "users", "passed"),
    [(1, 100, True), (1, 101, False), (2, 101, True), (19, 5_000, False), (20, 10**6, True)],
)
def test_a_few_of_many_users_tell_nothing(evaluated, users, passed):
    found = results(Gates(), evaluated_users=evaluated, users=users)["evaluated_users"]
    assert found.passed is passed
    assert results(Gates(allow_unevaluated=True), users=users)["evaluated_users"].passed


@pytest.mark.parametrize(
    ("users", "auc", "passed"), [(100, 0.44, False), (100, 0.46, True), (99, 0.1, True)]
)
def test_an_auc_below_chance_fails_where_enough_users_are_evaluated(users, auc, passed):
    found = check(Gates(), Measured(**{**FINE, "evaluated_users": users, "auc": auc}))
    assert all(result.passed for result in found) is passed
    asked = check(Gates(min_auc=0.0), Measured(**{**FINE, "evaluated_users": users, "auc": auc}))
    assert all(result.passed for result in asked)


def test_what_is_worse_than_popular_or_than_before_is_told():
    assert doubts(Measured(**FINE)) == []
    worse = Measured(**FINE, trained_precision_at_10=0.1, popular_precision_at_10=0.2)
    [warning] = doubts(worse)
    assert "0.2000 by what is popular" in warning
    [lost] = doubts(Measured(**FINE, baseline=common(0.2, 0.15)))
    assert "25% less, which isn't chance" in lost
    assert doubts(Measured(**FINE, baseline=common(0.2, 0.19, error=0.01))) == []


@pytest.mark.parametrize("name", ["precision_kept", "max_relative_loss"])
def test_a_version_before_that_knows_none_of_the_users_is_no_pass(name):
    gates = Gates() if name == "precision_kept" else Gates(max_relative_loss=0.5)
    found = results(gates, baseline=common(0.0, 0.3, known=0))[name]
    assert (found.passed, found.measured) == (False, None)
    assert f"version {OLD} knows none of the 120 evaluated users" in found.text


@pytest.mark.parametrize(
    "name",
    [
        "min_precision_at_10",
        "min_auc",
        "min_recall",
        "min_coverage",
        "min_users_kept",
        "min_items_kept",
    ],
)
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_a_threshold_that_is_no_share_is_refused_by_its_flag(name, value):
    with pytest.raises(OptionError, match=r"in 0\.\.1") as caught:
        Gates(**{name: value})
    assert caught.value.option == f"--{name.replace('_', '-')}"
    Gates(**{name: 0.0})
    Gates(**{name: 1})


@pytest.mark.parametrize("value", [-0.01, 1, math.nan])
def test_a_loss_of_everything_or_less_than_nothing_is_refused(value):
    with pytest.raises(OptionError, match=r"--max-relative-loss is .* from 0 to below 1"):
        Gates(max_relative_loss=value)
    Gates(max_relative_loss=0)


def test_a_failure_tells_by_how_much():
    result = only(Gates(min_precision_at_10=0.25), precision_at_10=0.2411)
    assert (result.name, result.passed) == ("min_precision_at_10", False)
    assert (result.measured, result.required) == (0.2411, 0.25)
    assert result.text == "precision@10 is 0.2411, required at least 0.25: 0.0089 short"


def test_a_failure_by_next_to_nothing_does_not_read_as_by_nothing():
    assert only(Gates(min_auc=0.9), auc=0.899999).text.endswith("1.0e-06 short")


@pytest.mark.parametrize(
    ("name", "measured", "what"),
    [("min_precision_at_10", "precision_at_10", "precision@10"), ("min_auc", "auc", "AUC")],
)
def test_what_is_just_enough_passes(name, measured, what):
    result = only(Gates(**{name: 0.9}), **{measured: 0.9})
    assert result.passed
    assert result.text == f"{what} is 0.9000, required at least 0.9"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "measured", "reason"),
    [
        ("min_precision_at_10", "precision_at_10", "no test interaction could be evaluated"),
        ("min_auc", "auc", "no test interaction could be evaluated"),
        ("min_coverage", "coverage", "the version has no users"),
    ],
)
def test_what_is_not_known_fails_with_the_reason(name, measured, reason, value):
    result = only(Gates(**{name: 0.0}), **{measured: value})
    assert (result.passed, result.measured) == (False, None)
    assert "isn't known, required at least 0.0" in result.text
    assert reason in result.text


def test_both_indexes_have_to_find_enough():
    good, bad = (
        {layout.SIMILAR: 0.99, layout.RECOMMEND: 0.97},
        {layout.SIMILAR: 0.99, layout.RECOMMEND: 0.9},
    )
    assert only(Gates(min_recall=0.95), recall_at_10=good).passed
    result = only(Gates(min_recall=0.95), recall_at_10=bad)
    assert (result.passed, result.measured) == (False, 0.9)
    assert "index 'similar' is 0.9900, required at least 0.95;" in result.text
    assert result.text.endswith("index 'recommend' is 0.9000, required at least 0.95: 0.0500 short")


@pytest.mark.parametrize(
    "recall", [{}, {layout.SIMILAR: 1.0}, {layout.SIMILAR: 1.0, layout.RECOMMEND: math.nan}]
)
def test_an_index_that_was_not_measured_fails(recall):
    result = only(Gates(min_recall=0.5), recall_at_10=recall)
    assert not result.passed
    assert result.measured is None
    assert "isn't known" in result.text
    assert ("'recommend'" if recall else "'similar'") in result.text


def test_a_first_version_has_nothing_to_lose_and_the_result_says_so():
    result = only(Gates(max_relative_loss=0.0), precision_at_10=0.0)
    assert (result.passed, result.measured) == (True, None)
    assert "nothing to compare" in result.text


@pytest.mark.parametrize(
    ("after", "allowed", "passed"),
    [
        # 0.2 * 0.95 is a little more than 0.19 in floating point.
        (0.19, 0.05, True),
        (0.18, 0.05, False),
        (0.2, 0.0, True),
        (0.1999, 0.0, False),
        (0.3, 0.0, True),
    ],
)
def test_precision_may_fall_by_the_allowed_share(after, allowed, passed):
    result = only(Gates(max_relative_loss=allowed), baseline=beside(0.2, after))
    assert result.passed is passed
    assert result.measured == pytest.approx(1 - after / 0.2)


def test_a_loss_is_told_in_full():
    result = only(Gates(max_relative_loss=0.05), baseline=beside(0.25, 0.2, trained_on=0.125))
    assert result.text == (
        f"precision@10 is 0.2000, that of version {OLD} on the same users 0.2500: 20.00 % less, "
        "at most 5 % less allowed: 0.0375 short; the latter was trained on 12.5 % of what is held out "
        "now, so it looks better than it is"
    )
    gained = only(Gates(max_relative_loss=0.05), baseline=beside(0.2, 0.25))
    assert gained.text.endswith("0.2000: 25.00 % more, at most 5 % less allowed")


def test_a_version_before_that_hit_nothing_is_no_obstacle():
    result = only(Gates(max_relative_loss=0.0), baseline=beside(0.0, 0.0))
    assert (result.passed, result.measured) == (True, 0.0)


def test_a_version_that_cannot_be_compared_with_fails_with_the_reason():
    broken = Baseline(version=OLD, problem="users.trie: isn't an id map")
    result = only(Gates(max_relative_loss=0.5), baseline=broken)
    assert (result.passed, result.measured) == (False, None)
    assert "users.trie: isn't an id map; promote a version by hand" in result.text


@given(shares, shares, shares, shares, st.floats(0, 0.99))
def test_each_gate_is_judged_by_its_own_number_in_order(precision, auc, recall, coverage, loss):
    gates = Gates(
        min_precision_at_10=precision,
        min_auc=auc,
        min_recall=recall,
        min_coverage=coverage,
        max_relative_loss=loss,
    )
    found = check(
        gates,
        Measured(
            precision_at_10=0.5,
            auc=0.5,
            evaluated_users=7,
            recall_at_10={layout.SIMILAR: 0.5, layout.RECOMMEND: 0.5},
            coverage=0.5,
            baseline=beside(1.0, 0.5),
        ),
    )
    assert [result.name for result in found] == [
        "evaluated_users",
        "min_precision_at_10",
        "min_auc",
        "min_recall",
        "min_coverage",
        "max_relative_loss",
    ]
    assert [result.passed for result in found[1:5]] == [
        threshold <= 0.5 for threshold in (precision, auc, recall, coverage)
    ]
    assert found[5].passed == (loss >= 0.5 - 1e-9)
    assert all(("short" in result.text) != result.passed for result in found)
