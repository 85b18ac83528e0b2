"""Judge the measured values of a version by the gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeGuard

from lightfm_retriever.publication import layout
from trainer.evaluation.confidence import share_interval, too_few
from trainer.evaluation.metric_rows import NDCG
from trainer.promotion.gates import (
    DEFAULT_AUC,
    DEFAULT_LOSS,
    DEFAULT_RECALL,
    Baseline,
    Common,
    GateResult,
    Gates,
    Measured,
)
from trainer.promotion.lifts import check_lifts

# Rounding can't make two equal numbers differ by more.
_ROUNDING = 1e-9
_INDEXES = (layout.SIMILAR, layout.RECOMMEND)
# A loss counts only from this many standard errors of the mean difference on: less may be chance.
_ERRORS = 3.0
_WORTH_A_WORD = 0.05
_ENOUGH_USERS = 100
_FEWEST_USERS = 20
# A version trained on more than this share of the held-out interactions looks better than it is.
_KNOWN_ALREADY = 0.1
_ENOUGH_IN_COMMON = 20
_CHANCE = 2.0
_UNKNOWN = {
    "min_precision_at_10": "no test interaction could be evaluated; choose another --split",
    "min_ndcg_at_10": "no test interaction could be evaluated; choose another --split",
    "min_auc": "no test interaction could be evaluated; choose another --split",
    "min_coverage": "the version has no users",
}

_EXACT = "recall@10 is 1, because an item-item model has no index: all its answers are exact"


def check(gates: Gates, measured: Measured) -> list[GateResult]:
    """Judge the measured values by the gates that always hold and by the thresholds in `gates`."""
    results = [_evaluated(measured, allowed=gates.allow_unevaluated)]
    least_auc = gates.min_auc
    if least_auc is None and measured.evaluated_users >= _ENOUGH_USERS and _known(measured.auc):
        least_auc = DEFAULT_AUC
    results += _at_least(
        "min_precision_at_10", "precision@10", measured.precision_at_10, gates.min_precision_at_10
    )
    ndcg = measured.metrics.get(NDCG)
    results += _at_least("min_ndcg_at_10", "NDCG@10", ndcg, gates.min_ndcg_at_10)
    for name, least in gates.min_metric.items():
        results.append(_metric(name, measured.metrics, least))
    results += _at_least("min_auc", "AUC", measured.auc, least_auc)
    floor = gates.min_recall
    if floor is None:
        floor = min(DEFAULT_RECALL, measured.target_recall or DEFAULT_RECALL)
    if measured.is_exact:
        results.append(GateResult("min_recall", True, 1.0, floor, _EXACT))
    else:
        results.append(_recall(measured, floor))
    results += _at_least("min_coverage", "coverage", measured.coverage, gates.min_coverage)
    simple = [] if measured.evaluation is None else measured.evaluation.simple_models
    results += check_lifts(gates.min_lift_over, simple, measured.family)
    if gates.max_relative_loss is not None:
        results.append(_relative_loss(measured.baseline, gates.max_relative_loss))
    elif measured.baseline is not None and (common := measured.baseline.common) is not None:
        allowed = gates.allow_different_data
        results.append(_loss_in_common(measured.baseline, common, allowed=allowed))
    return results


def doubts(measured: Measured) -> list[str]:
    """Warn of a version that is worse than the most popular items, or surely worse than before."""
    warnings = []
    popular, own = measured.popular_precision_at_10, measured.trained_precision_at_10
    if _known(popular) and _known(own) and own < (1 - _WORTH_A_WORD) * popular:
        warnings.append(
            f"precision@10 is {own:.4f}, but {popular:.4f} if all users get the most popular items: do "
            "ids and vectors belong together, and is there enough data?"
        )
    baseline = measured.baseline
    if baseline is not None and (common := baseline.common) is not None and common.known:
        lost = common.before - common.after
        if lost > _ERRORS * common.error and lost > _WORTH_A_WORD * common.before:
            sentence = _in_common(baseline, common)
            warnings.append(f"{sentence}: {lost / common.before:.0%} less, more than chance explains")
    return warnings


def _evaluated(measured: Measured, *, allowed: bool) -> GateResult:
    """Require one evaluated user in a hundred, at least 1 and at most 20."""
    users = measured.evaluated_users
    required = max(1, min(_FEWEST_USERS, math.ceil(measured.users / 100)))
    text = f"{users:,} users were evaluated" if users else "no user was evaluated"
    if (doubt := _uncertain(measured)) is not None:
        text += f", {doubt}"
    if users >= required:
        return GateResult("evaluated_users", True, users, required, text)
    if allowed:
        text += "; --allow-unevaluated allows it"
        return GateResult("evaluated_users", True, users, 0.0, text)
    text += (
        f"; at least {required} of {measured.users:,} are required to judge the version: hold out more "
        "interactions (--split; publish: --held-out), or give --allow-unevaluated"
    )
    return GateResult("evaluated_users", False, users, required, text)


def _uncertain(measured: Measured) -> str | None:
    """Say that so few users prove nothing, with the interval of NDCG@10; None if they are enough."""
    facts, ndcg = measured.evaluation, measured.metrics.get(NDCG)
    if facts is None or not _known(ndcg):
        return None
    users = facts.evaluated_users
    interval = share_interval(ndcg, facts.errors.get(NDCG), users)
    if not too_few(interval, users):
        return None
    return f"too few of {measured.users:,} for a conclusion: NDCG@10 is {interval}"


def _metric(name: str, metrics: Mapping[str, float], required: float) -> GateResult:
    gate, value = f"min_metric.{name}", metrics.get(name)
    if not _known(value):
        known = ", ".join(sorted(metrics)) or "none"
        text = f"metric {name} isn't known, required at least {required}; there is {known}"
        return GateResult(gate, False, None, required, text)
    passed, text = _compare(name, value, required)
    return GateResult(gate, passed, value, required, text)


def _at_least(name: str, what: str, value: float | None, required: float | None) -> list[GateResult]:
    if required is None:
        return []
    if not _known(value):
        text = f"{what} isn't known, required at least {required}: {_UNKNOWN[name]}"
        return [GateResult(name, False, None, required, text)]
    passed, text = _compare(what, value, required)
    return [GateResult(name, passed, value, required, text)]


def _recall(measured: Measured, required: float) -> GateResult:
    recall, worst = measured.recall_at_10, measured.worst_question
    values = {name: value for name, value in recall.items() if _known(value)}
    if unknown := [name for name in (*_INDEXES, *recall) if name not in values]:
        text = f"recall@10 of index {unknown[0]!r} isn't known, required at least {required}"
        return GateResult("min_recall", False, None, required, text)
    whats = {name: f"recall@10 of index {name!r}" for name in values}
    whats |= {name: f"{whats[name]} for questions {worst[name]!r}" for name in values if name in worst}
    outcomes = [_compare(whats[name], own, required) for name, own in values.items()]
    text = "; ".join(text for _, text in outcomes)
    passed = all(passed for passed, _ in outcomes)
    return GateResult("min_recall", passed, min(values.values()), required, text)


def _relative_loss(baseline: Baseline | None, allowed: float) -> GateResult:
    name = "max_relative_loss"
    if baseline is None:
        text = "the label names no version yet, so there is nothing to compare precision@10 with"
        return GateResult(name, True, None, allowed, text)
    before, after = baseline.precision_at_10, baseline.candidate_precision_at_10
    if (common := baseline.common) is not None and not common.in_common:
        before = None
        problem = f"version {baseline.version} knows none of the {common.users:,} evaluated users"
        baseline = replace(baseline, problem=problem)
    if not _known(before) or not _known(after):
        reason = baseline.problem or f"no test interaction of version {baseline.version} is evaluated"
        text = (
            f"precision@10 can't be compared with that of the previous version: {reason}; promote a "
            "version by hand, or leave out --max-relative-loss"
        )
        return GateResult(name, False, None, allowed, text)
    if common is not None and (
        baseline.trained_on <= _KNOWN_ALREADY or common.known < _ENOUGH_IN_COMMON
    ):
        common = None
    if common is not None:
        before, after = common.before, common.after
    loss = (before - after) / before if before > 0 else 0.0
    # With few users, chance alone may make such a difference.
    chance = _CHANCE * common.error / before if common is not None and before > 0 else 0.0
    passed = loss <= allowed + chance + _ROUNDING
    text = (
        f"precision@10 is {after:.4f}, that of version {baseline.version} for the same users is "
        f"{before:.4f}: {_change(loss)}; at most {100 * allowed:.4g} % less is allowed"
    )
    if not passed:
        text += f": {_amount(before * (1 - allowed) - after)} short"
    if common is not None:
        text += f"; of {common.known:,} users, on interactions that neither was trained on"
    elif baseline.trained_on:
        text += (
            f"; that version was trained on {100 * baseline.trained_on:.1f} % of the interactions that "
            "are held out now, so it looks better than it is"
        )
    return GateResult(name, passed, loss, allowed, text)


def _loss_in_common(baseline: Baseline, common: Common, *, allowed: bool) -> GateResult:
    """Fail a large and certain loss for the users in common, on positives that are new to both."""
    name, version = "precision_kept", baseline.version
    if common.in_common and not common.known:
        text = f"version {version} was trained on all held-out interactions, so nothing is compared"
        return GateResult(name, True, None, DEFAULT_LOSS, text)
    if not common.known:
        text = (
            f"version {version} knows none of the {common.users:,} evaluated users, so the new version "
            "can't be compared with it"
        )
        text += "; --allow-different-data allows it" if allowed else ""
        return GateResult(name, allowed, None, DEFAULT_LOSS, text)
    lost = common.before - common.after
    text = _in_common(baseline, common)
    certain = lost > _ERRORS * common.error
    passed = allowed or not (certain and lost > DEFAULT_LOSS * common.before)
    if not passed:
        text += f": more than {DEFAULT_LOSS:.0%} less (--max-relative-loss allows more)"
    return GateResult(name, passed, lost / common.before if common.before else 0.0, DEFAULT_LOSS, text)


def _in_common(baseline: Baseline, common: Common) -> str:
    return (
        f"precision@10 of the {common.known:,} evaluated users that version {baseline.version} knows "
        f"too, on interactions that neither was trained on, is {common.after:.4f}; by that version it "
        f"is {common.before:.4f}"
    )


def _compare(what: str, value: float, required: float) -> tuple[bool, str]:
    text = f"{what} is {value:.4f}, required at least {required}"
    if value >= required:
        return True, text
    return False, f"{text}: {_amount(required - value)} short"


def _change(loss: float) -> str:
    if abs(loss) <= _ROUNDING:
        return "no less"
    return f"{100 * abs(loss):.2f} % {'less' if loss > 0 else 'more'}"


def _amount(value: float) -> str:
    return f"{value:.4f}" if value >= 0.00005 else f"{value:.1e}"


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
