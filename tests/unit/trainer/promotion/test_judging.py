"""What was measured of a version, held against what is asked for and what always holds."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.evaluation_facts import EvaluationFacts
from trainer.errors import OptionError
from trainer.evaluation.metric_rows import NDCG
from trainer.promotion.gates import Baseline, Common, Gates, Measured
from trainer.promotion.judging import check, doubts

OLD = "20261124T120000Z-3fa9c1"
FINE = {
    "evaluated_users": 9,
    "recall_at_10": {layout.SIMILAR: 0.99, layout.RECOMMEND: 0.97},
    "target_recall": 0.95,
}

NOBODY = "no test interaction could be evaluated; choose another --split"
BY_HAND = "; promote a version by hand, or leave out --max-relative-loss"
KNEW = f"100 evaluated users that version {OLD} knows too, on interactions that neither was trained on,"
KNEW_MORE = (
    "; that version was trained on 12.5 % of the interactions that are held out now, so it looks "
    "better than it is"
)
ON_NEITHER = " users, on interactions that neither was trained on"
LESS = ": more than 50% less (--max-relative-loss allows more)"


def beside(before, after, **others):
    return Baseline(version=OLD, precision_at_10=before, candidate_precision_at_10=after, **others)


def common(before, after, *, known=100, error=0.001, **others):
    own = Common(users=120, in_common=known, known=known, before=before, after=after, error=error)
    return beside(before, after, common=own, **others)


def known_more(known, trained_on, error):
    """Where the version before knew some of what is held out now."""
    both = common(0.2, 0.19, known=known, error=error, trained_on=trained_on)
    return replace(both, precision_at_10=0.9, candidate_precision_at_10=0.3)


def recall(similar, recommend, target=0.95):
    both = {layout.SIMILAR: similar, layout.RECOMMEND: recommend}
    return {"recall_at_10": {name: own for name, own in both.items() if own}, "target_recall": target}


def auc(value, evaluated=100):
    return {"auc": value, "evaluated_users": evaluated}


TRAINED = beside(0.9, 0.3, common=Common(users=120, in_common=100, known=0))
STRANGERS = common(0.0, 0.3, known=0)
BROKEN = Baseline(version=OLD, problem="users.trie: isn't an id map")
ALLOWED = {"allow_unevaluated": True, "allow_different_data": True}
# What is asked for, what was measured, whether it passes (None where nothing is told), the number that
# is told, and how the sentence ends.
JUDGED = {
    "min_precision_at_10": [
        (0.9, {"precision_at_10": 0.9}, True, 0.9, "precision@10 is 0.9000, required at least 0.9"),
        (0.0, {}, False, None, f"precision@10 isn't known, required at least 0.0: {NOBODY}"),
    ],
    "min_auc": [
        (0.25, auc(0.2411), False, 0.2411, "is 0.2411, required at least 0.25: 0.0089 short"),
        # What is next to nothing does not read as nothing.
        (0.9, auc(0.899999), False, 0.899999, "is 0.9000, required at least 0.9: 1.0e-06 short"),
        (0.0, auc(math.nan), False, None, f"AUC isn't known, required at least 0.0: {NOBODY}"),
        # One below chance fails where enough users are evaluated.
        (None, auc(0.44), False, 0.44, "AUC is 0.4400, required at least 0.45: 0.0100 short"),
        (None, auc(0.45), True, 0.45, "AUC is 0.4500, required at least 0.45"),
        *((None, own, None, None, None) for own in (auc(0.1, 99), auc(math.nan))),
    ],
    "min_ndcg_at_10": [
        (0.3, {"metrics": {NDCG: 0.3}}, True, 0.3, "NDCG@10 is 0.3000, required at least 0.3"),
        (0.3, {"metrics": {NDCG: 0.25}}, False, 0.25, "required at least 0.3: 0.0500 short"),
        (0.0, {"metrics": {"test_auc": 0.9}}, False, None, f"required at least 0.0: {NOBODY}"),
    ],
    "min_coverage": [(0.0, {"coverage": math.inf}, False, None, "0.0: the version has no users")],
    "min_recall": [
        (0.95, recall(0.96, 0.98), True, 0.96, "'recommend' is 0.9800, required at least 0.95"),
        (0.95, recall(0.99, 0.9), False, 0.9, "is 0.9000, required at least 0.95: 0.0500 short"),
        (0.95, recall(0.9, 1.0), False, 0.9, "'recommend' is 1.0000, required at least 0.95"),
        (0.95, recall(1.0, math.nan), False, None, "'recommend' isn't known, required at least 0.95"),
        (0.95, recall(None, 1.0), False, None, "'similar' isn't known, required at least 0.95"),
        # An index that finds little is no pass unless so little was asked for.
        (0.1, recall(1.0, 0.3), True, 0.3, "required at least 0.1"),
        (None, recall(1.0, 0.8), True, 0.8, "required at least 0.8"),
        (None, recall(1.0, 0.79), False, 0.79, "required at least 0.8: 0.0100 short"),
        (None, recall(1.0, 0.5, 0.5), True, 0.5, "required at least 0.5"),
        (None, recall(1.0, 0.49, 0.5), False, 0.49, "required at least 0.5: 0.0100 short"),
        # Versions from before indexes were tuned have no target.
        (None, recall(1.0, 0.79, None), False, 0.79, "required at least 0.8: 0.0100 short"),
    ],
    # A few of many users tell nothing.
    "evaluated_users": [
        (asked, {"evaluated_users": evaluated, "users": of}, passed, evaluated, text)
        for asked, evaluated, of, passed, text in (
            *(
                (None, *own, False, "or give --allow-unevaluated")
                for own in ((0, 0), (1, 101), (19, 5_000))
            ),
            *((None, *own, True, "users were evaluated") for own in ((1, 100), (2, 101), (20, 10**6))),
            (ALLOWED, 0, 9, True, "no user was evaluated; --allow-unevaluated allows it"),
            (ALLOWED, 1, 9, True, "1 users were evaluated"),
        )
    ],
    # A loss of more than half counts where it is certain.
    "precision_kept": [
        (None, common(0.2, 0.2), True, 0.0, "is 0.2000; by that version it is 0.2000"),
        (None, common(0.2, 0.1), True, 0.5, f"{KNEW} is 0.1000; by that version it is 0.2000"),
        (None, common(0.2, 0.099), False, 0.505, f"is 0.0990; by that version it is 0.2000{LESS}"),
        # Of few users chance makes as much.
        (None, common(0.2, 0.0, error=0.07), True, 1.0, "is 0.0000; by that version it is 0.2000"),
        (
            None,
            common(0.2, 0.0, error=0.06),
            False,
            1.0,
            f"is 0.0000; by that version it is 0.2000{LESS}",
        ),
        (None, common(0.0, 0.0), True, 0.0, "is 0.0000; by that version it is 0.0000"),
        (ALLOWED, common(0.2, 0.0), True, 1.0, "is 0.0000; by that version it is 0.2000"),
        # Who says how much may be lost has said it.
        ({"max_relative_loss": 0.9}, common(0.2, 0.0), None, None, None),
        (None, TRAINED, True, None, "on all held-out interactions, so nothing is compared"),
        (None, STRANGERS, False, None, "so the new version can't be compared with it"),
        (ALLOWED, STRANGERS, True, None, "be compared with it; --allow-different-data allows it"),
    ],
    "max_relative_loss": [
        # 0.2 * 0.95 is a little more than 0.19 in floating point.
        (0.05, beside(0.2, 0.19), True, 0.05, "0.2000: 5.00 % less; at most 5 % less is allowed"),
        (0.05, beside(0.2, 0.18), False, 0.1, "at most 5 % less is allowed: 0.0100 short"),
        (0.0, beside(0.2, 0.2), True, 0.0, ": no less; at most 0 % less is allowed"),
        (0.0, beside(0.2, 0.1999), False, 0.0005, "at most 0 % less is allowed: 0.0001 short"),
        (0.0, beside(0.2, 0.3), True, -0.5, ": 50.00 % more; at most 0 % less is allowed"),
        # A version before that hit nothing is no obstacle, nor is none.
        (0.0, beside(0.0, 0.0), True, 0.0, ": no less; at most 0 % less is allowed"),
        (0.0, {}, True, None, "so there is nothing to compare precision@10 with"),
        (0.5, STRANGERS, False, None, f"version {OLD} knows none of the 120 evaluated users{BY_HAND}"),
        (0.5, BROKEN, False, None, f"version: users.trie: isn't an id map{BY_HAND}"),
        (0.05, beside(0.25, 0.2, trained_on=0.125), False, 0.2, f"0.0375 short{KNEW_MORE}"),
        # It is that on what neither was trained on where the other one knows more.
        (0.025, known_more(20, 0.11, 0.003), True, 0.05, f"; of 20{ON_NEITHER}"),
        # Of few, or where the other one knew little more, all are compared.
        (0.025, known_more(19, 0.9, 0.003), False, 2 / 3, "so it looks better than it is"),
        (0.025, known_more(50, 0.1, 0.003), False, 2 / 3, "so it looks better than it is"),
        # Of few users chance alone may make as much.
        (0.025, known_more(50, 0.9, 0.001), False, 0.05, f"; of 50{ON_NEITHER}"),
    ],
}


@pytest.mark.parametrize(
    ("name", "asked", "measured", "passed", "number", "text"),
    [(name, *row) for name, rows in JUDGED.items() for row in rows],
)
def test_each_gate_has_its_threshold_and_its_words(name, asked, measured, passed, number, text):
    if not isinstance(asked, dict):
        asked = {} if asked is None else {name: asked}
    if isinstance(measured, Baseline):
        measured = {"baseline": measured}
    found = {own.name: own for own in check(Gates(**asked), Measured(**{**FINE, **measured}))}
    assert found.keys() == {"evaluated_users", "min_recall", *asked, name} - {*ALLOWED} - (
        {name} if passed is None else set()
    )
    if passed is not None:
        result = found[name]
        assert (result.passed, result.measured) == (passed, number and pytest.approx(number))
        assert result.text.endswith(text), result.text


def test_any_metric_of_the_manifest_can_be_a_gate():
    wanted = {"test_recall_at_20_unseen": 0.25, "test_novelty_at_10_unseen": 3.5, "nope": -1.0}
    metrics = {"test_recall_at_20_unseen": 0.25, "test_novelty_at_10_unseen": 3.0}
    found = check(Gates(min_metric=wanted), Measured(**{**FINE, "metrics": metrics}))
    own = [one for one in found if one.name.startswith("min_metric")]
    assert [(one.name, one.passed, one.measured) for one in own] == [
        ("min_metric.test_recall_at_20_unseen", True, 0.25),
        ("min_metric.test_novelty_at_10_unseen", False, 3.0),
        ("min_metric.nope", False, None),
    ]
    assert own[1].text == "test_novelty_at_10_unseen is 3.0000, required at least 3.5: 0.5000 short"
    assert own[2].text.endswith("there is test_novelty_at_10_unseen, test_recall_at_20_unseen")
    with pytest.raises(OptionError, match=r"--min-metric.*'a=nan'.*finite"):
        Gates(min_metric={"a": math.nan})


@pytest.mark.parametrize(
    ("users", "error", "said"),
    [
        (
            27,
            0.02,
            "27 users were evaluated, too few of 610 for a conclusion: NDCG@10 is 0.2000 (95 % ",
        ),
        # Many users, but they differ too much.
        (500, 0.04, "500 users were evaluated, too few of 610 for a conclusion: NDCG@10 is 0.2000 (9"),
        (500, 0.01, "500 users were evaluated"),
    ],
)
def test_users_that_are_too_few_for_a_conclusion_are_said_so_with_the_interval(users, error, said):
    facts = EvaluationFacts(
        test="0" * 64, users=users, evaluated_users=users, interactions=users, errors={NDCG: error}
    )
    own = {"evaluated_users": users, "users": 610, "metrics": {NDCG: 0.2}, "evaluation": facts}
    [first, *_] = check(Gates(), Measured(**{**FINE, **own}))
    assert first.passed
    assert first.text.startswith(said)
    assert ("conclusion" in first.text) == ("conclusion" in said)


@given(*[st.floats(0, 1)] * 4, st.floats(0, 0.99))
def test_each_gate_is_judged_by_its_own_number_in_order(precision, auc, recall, coverage, loss):
    names = ["min_precision_at_10", "min_auc", "min_recall", "min_coverage"]
    thresholds = dict(zip(names, (precision, auc, recall, coverage), strict=True))
    halves = {"precision_at_10": 0.5, "auc": 0.5, "coverage": 0.5, "baseline": beside(1.0, 0.5)}
    both = dict.fromkeys((layout.SIMILAR, layout.RECOMMEND), 0.5)
    measured = Measured(evaluated_users=7, recall_at_10=both, **halves)
    found = check(Gates(**thresholds, max_relative_loss=loss), measured)
    assert [own.name for own in found] == ["evaluated_users", *names, "max_relative_loss"]
    assert [own.passed for own in found[1:5]] == [own <= 0.5 for own in thresholds.values()]
    assert found[5].passed == (loss >= 0.5 - 1e-9)
    assert all(("short" in result.text) != result.passed for result in found)


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({}, None),
        (
            {"trained_precision_at_10": 0.1, "popular_precision_at_10": 0.2},
            "but 0.2000 if all users get the most popular items",
        ),
        ({"trained_precision_at_10": 0.191, "popular_precision_at_10": 0.2}, None),
        ({"trained_precision_at_10": math.nan, "popular_precision_at_10": 0.2}, None),
        ({"baseline": common(0.2, 0.15)}, ": 25% less, more than chance explains"),
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


def test_a_kind_of_question_with_a_low_recall_is_named():
    recalls, worst = {"similar": 0.99, "recommend": 0.7}, {"recommend": "session"}
    [found] = [
        result
        for result in check(
            Gates(min_recall=0.9),
            Measured(evaluated_users=100, recall_at_10=recalls, worst_question=worst),
        )
        if result.name == "min_recall"
    ]
    assert (found.passed, found.measured) == (False, 0.7)
    assert "recall@10 of index 'recommend' for questions 'session'" in found.text
    assert "recall@10 of index 'similar' " in found.text
