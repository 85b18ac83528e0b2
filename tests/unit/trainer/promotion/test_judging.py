"""What was measured of a version, held against what is asked for and what always holds."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from trainer.promotion.gates import Baseline, Common, Gates, Measured
from trainer.promotion.judging import check, doubts

OLD = "20261124T120000Z-3fa9c1"
FINE = {
    "evaluated_users": 9,
    "recall_at_10": {layout.SIMILAR: 0.99, layout.RECOMMEND: 0.97},
    "target_recall": 0.95,
}

NOBODY = "no test interaction could be evaluated; choose another --split"


def results(gates, **measured):
    return {result.name: result for result in check(gates, Measured(**{**FINE, **measured}))}


def only(gates, **measured):
    """The result of the one gate that is asked for."""
    asked = {own.name: getattr(gates, own.name) for own in fields(Gates)}
    [name] = (name for name, value in asked.items() if value is not None and value is not False)
    return results(gates, **measured)[name]


def beside(before, after, **others):
    return Baseline(version=OLD, precision_at_10=before, candidate_precision_at_10=after, **others)


def common(before, after, *, known=100, error=0.001, **others):
    own = Common(users=120, in_common=known, known=known, before=before, after=after, error=error)
    return beside(before, after, common=own, **others)


# ---- thresholds


@given(*[st.floats(0, 1)] * 4, st.floats(0, 0.99))
def test_each_gate_is_judged_by_its_own_number_in_order(precision, auc, recall, coverage, loss):
    gates = Gates(
        min_precision_at_10=precision,
        min_auc=auc,
        min_recall=recall,
        min_coverage=coverage,
        max_relative_loss=loss,
    )
    measured = Measured(
        precision_at_10=0.5,
        auc=0.5,
        evaluated_users=7,
        recall_at_10={layout.SIMILAR: 0.5, layout.RECOMMEND: 0.5},
        coverage=0.5,
        baseline=beside(1.0, 0.5),
    )
    found = check(gates, measured)
    names = ["min_precision_at_10", "min_auc", "min_recall", "min_coverage"]
    assert [own.name for own in found] == ["evaluated_users", *names, "max_relative_loss"]
    thresholds = (precision, auc, recall, coverage)
    assert [own.passed for own in found[1:5]] == [threshold <= 0.5 for threshold in thresholds]
    assert found[5].passed == (loss >= 0.5 - 1e-9)
    assert all(("short" in result.text) != result.passed for result in found)


@pytest.mark.parametrize(
    ("gates", "measured", "passed", "text"),
    [
        ({"min_precision_at_10": 0.9}, 0.9, True, "precision@10 is 0.9000, required at least 0.9"),
        ({"min_auc": 0.25}, 0.2411, False, "AUC is 0.2411, required at least 0.25: 0.0089 short"),
        # What is next to nothing does not read as nothing.
        ({"min_auc": 0.9}, 0.899999, False, "AUC is 0.9000, required at least 0.9: 1.0e-06 short"),
        *(
            ({name: 0.0}, value, False, f"{what} isn't known, required at least 0.0: {reason}")
            for name, what, value, reason in (
                ("min_precision_at_10", "precision@10", None, NOBODY),
                ("min_auc", "AUC", math.nan, NOBODY),
                ("min_coverage", "coverage", math.inf, "the version has no users"),
            )
        ),
    ],
)
def test_a_number_passes_from_its_threshold_on_and_a_failure_tells_by_how_much(
    gates, measured, passed, text
):
    [(name, required)] = gates.items()
    result = only(Gates(**gates), **{name.removeprefix("min_"): measured})
    known = measured if measured is not None and math.isfinite(measured) else None
    assert (result.passed, result.measured, result.required) == (passed, known, required)
    assert result.text == text


@pytest.mark.parametrize(
    ("similar", "recommend", "passed", "measured", "said"),
    [
        (0.96, 0.98, True, 0.96, "index 'similar' is 0.9600, required at least 0.95;"),
        (0.99, 0.9, False, 0.9, "index 'recommend' is 0.9000, required at least 0.95: 0.0500 short"),
        (1.0, math.nan, False, None, "index 'recommend' isn't known, required at least 0.95"),
        (None, 1.0, False, None, "index 'similar' isn't known, required at least 0.95"),
    ],
)
def test_both_indexes_have_to_find_enough_and_be_measured(similar, recommend, passed, measured, said):
    recall = {layout.SIMILAR: similar, layout.RECOMMEND: recommend}
    result = only(Gates(min_recall=0.95), recall_at_10={k: own for k, own in recall.items() if own})
    assert (result.passed, result.measured) == (passed, measured)
    assert said in result.text


# ---- what holds without being asked for


@pytest.mark.parametrize(
    ("evaluated", "users", "passed"),
    [
        *((0, 0, False), (0, 100, False), (1, 0, True), (1, 100, True)),
        *((1, 101, False), (2, 101, True), (19, 5_000, False), (20, 10**6, True)),
    ],
)
def test_a_few_of_many_users_tell_nothing(evaluated, users, passed):
    measured = {"evaluated_users": evaluated, "users": users}
    found = results(Gates(), **measured)
    assert found.keys() == {"evaluated_users", "min_recall"}
    own = found["evaluated_users"]
    assert (own.passed, own.measured) == (passed, evaluated)
    assert (f"{evaluated:,} users were" if evaluated else "nobody was evaluated") in own.text
    assert ("--allow-unevaluated" in own.text) == (not passed)
    allowed = results(Gates(allow_unevaluated=True), **measured)["evaluated_users"]
    assert allowed.passed
    assert allowed.text.endswith(", which --allow-unevaluated allows") == (not passed)


@pytest.mark.parametrize(
    ("target", "recall", "passed"),
    [
        *((0.95, 0.8, True), (0.95, 0.79, False), (0.5, 0.5, True), (0.5, 0.49, False)),
        # Versions from before indexes were tuned have no target.
        *((None, 0.8, True), (None, 0.79, False)),
    ],
)
def test_an_index_that_finds_little_is_no_pass_unless_so_little_was_asked_for(target, recall, passed):
    recalls = {layout.SIMILAR: 1.0, layout.RECOMMEND: recall}
    found = results(Gates(), recall_at_10=recalls, target_recall=target)["min_recall"]
    assert found.passed is passed
    assert results(Gates(min_recall=0.1), recall_at_10=recalls)["min_recall"].passed


def test_an_auc_below_chance_fails_where_enough_users_are_evaluated():
    for users, auc, passed in (
        (100, 0.44, False),
        (100, 0.45, True),
        (99, 0.1, True),
        (100, math.nan, True),
    ):
        found = results(Gates(), evaluated_users=users, auc=auc)
        assert all(result.passed for result in found.values()) is passed
        asked = results(Gates(min_auc=0.0), evaluated_users=users, auc=auc)
        assert asked["min_auc"].passed is not math.isnan(auc)


@pytest.mark.parametrize(
    ("baseline", "passed"),
    [
        (common(0.2, 0.2), True),
        (common(0.2, 0.1), True),
        (common(0.2, 0.099), False),
        # Of few users chance makes as much.
        (common(0.2, 0.0, error=0.07), True),
        (common(0.2, 0.0, error=0.06), False),
        (common(0.0, 0.0), True),
    ],
)
def test_a_loss_of_more_than_half_counts_where_it_is_certain(baseline, passed):
    found = results(Gates(), baseline=baseline)["precision_kept"]
    assert found.passed is passed
    own = baseline.common
    assert found.measured == pytest.approx((own.before - own.after) / (own.before or 1))
    assert f"that version {OLD} knows too" in found.text
    assert f"is {own.after:.4f}, by that version {own.before:.4f}" in found.text
    assert found.text.endswith(": more than 50% less (--max-relative-loss allows more)") is not passed
    assert results(Gates(allow_different_data=True), baseline=baseline)["precision_kept"].passed
    # Who says how much may be lost has said it.
    assert "precision_kept" not in results(Gates(max_relative_loss=0.9), baseline=baseline)


def test_nothing_is_compared_where_all_was_trained_on_or_nobody_is_known():
    trained = beside(0.9, 0.3, common=Common(users=120, in_common=100, known=0))
    found = results(Gates(), baseline=trained)["precision_kept"]
    assert (found.passed, found.measured) == (True, None)
    assert "was trained on all that is held out now" in found.text
    strangers = common(0.0, 0.3, known=0)
    for loss, name in ((None, "precision_kept"), (0.5, "max_relative_loss")):
        found = results(Gates(max_relative_loss=loss), baseline=strangers)[name]
        assert (found.passed, found.measured) == (False, None)
        assert f"version {OLD} knows none of the 120 evaluated users" in found.text
    allowed = results(Gates(allow_different_data=True), baseline=strangers)["precision_kept"]
    assert allowed.passed
    assert allowed.text.endswith("which --allow-different-data allows")


# ---- a loss that is asked about


@pytest.mark.parametrize(
    ("before", "after", "allowed", "passed"),
    [
        # 0.2 * 0.95 is a little more than 0.19 in floating point.
        *((0.2, 0.19, 0.05, True), (0.2, 0.18, 0.05, False), (0.2, 0.2, 0.0, True)),
        # A version before that hit nothing is no obstacle.
        *((0.2, 0.1999, 0.0, False), (0.2, 0.3, 0.0, True), (0.0, 0.0, 0.0, True)),
    ],
)
def test_precision_may_fall_by_the_allowed_share(before, after, allowed, passed):
    result = only(Gates(max_relative_loss=allowed), baseline=beside(before, after))
    assert result.passed is passed
    assert result.measured == pytest.approx((before - after) / (before or 1))


def test_a_loss_is_told_in_full():
    gates = Gates(max_relative_loss=0.05)
    result = only(gates, baseline=beside(0.25, 0.2, trained_on=0.125))
    assert result.text == (
        f"precision@10 is 0.2000, that of version {OLD} on the same users 0.2500: 20.00 % less, "
        "at most 5 % less allowed: 0.0375 short; the latter was trained on 12.5 % of what is held out "
        "now, so it looks better than it is"
    )
    gained = only(gates, baseline=beside(0.2, 0.25))
    assert gained.text.endswith("0.2000: 25.00 % more, at most 5 % less allowed")
    assert ": no less, at most 5 %" in only(gates, baseline=beside(0.2, 0.2)).text
    first = only(Gates(max_relative_loss=0.0), precision_at_10=0.0)
    assert (first.passed, first.measured) == (True, None)
    assert "nothing to compare" in first.text
    broken = Baseline(version=OLD, problem="users.trie: isn't an id map")
    result = only(gates, baseline=broken)
    assert (result.passed, result.measured) == (False, None)
    assert "users.trie: isn't an id map; promote a version by hand" in result.text


@pytest.mark.parametrize(
    ("known", "trained_on", "error", "told_apart", "passed"),
    [
        (20, 0.11, 0.003, True, True),
        # Of few, or where the other one knew little more, all are compared.
        (19, 0.9, 0.003, False, False),
        (50, 0.1, 0.003, False, False),
        # Of few users chance alone may make as much.
        (50, 0.9, 0.001, True, False),
    ],
)
def test_a_loss_is_that_on_what_neither_was_trained_on_where_the_other_knows_more(
    known, trained_on, error, told_apart, passed
):
    baseline = replace(
        common(0.2, 0.19, known=known, error=error),
        precision_at_10=0.9,
        candidate_precision_at_10=0.3,
        trained_on=trained_on,
    )
    found = only(Gates(max_relative_loss=0.025), baseline=baseline)
    assert found.passed is passed
    assert found.measured == pytest.approx(0.05 if told_apart else 2 / 3)
    assert (f"; of {known} users, on what neither was trained on" in found.text) is told_apart
    assert ("it looks better than it is" in found.text) is not told_apart


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({}, None),
        ({"trained_precision_at_10": 0.1, "popular_precision_at_10": 0.2}, "0.2000 by what is popular"),
        ({"trained_precision_at_10": 0.191, "popular_precision_at_10": 0.2}, None),
        ({"trained_precision_at_10": math.nan, "popular_precision_at_10": 0.2}, None),
        ({"baseline": common(0.2, 0.15)}, ": 25% less, which isn't chance"),
        ({"baseline": common(0.2, 0.19, error=0.01)}, None),
        # Certain, but not worth a word.
        ({"baseline": common(0.2, 0.191)}, None),
        ({"baseline": common(0.2, 0.15, known=0)}, None),
    ],
)
def test_what_is_worse_than_popular_or_than_before_is_told(measured, said):
    warnings = doubts(Measured(**FINE, **measured))
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]
