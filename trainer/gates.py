"""What a version has to pass before a label is moved to it. Pure: trainer.measurement measures.

precision@10 and AUC are those among the items that a user hasn't seen in the training data, since
these are what users get: `test_precision_at_10_unseen` and `test_auc_unseen` of the manifest, not the
ones among all items, which are mostly lower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeGuard

from publication import layout
from trainer.errors import OptionError

# Further below than rounding can bring an equal number.
_ROUNDING = 1e-9
_INDEXES = (layout.SIMILAR, layout.RECOMMEND)


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Thresholds, each None when it isn't asked for. All are shares.

    Attributes:
        min_precision_at_10: of the test interactions, unseen items only, in 0..1.
        min_auc: the same.
        min_recall: recall@10 of both indexes, as the manifest's `indexes.*.recall_at_10`, in 0..1.
        min_coverage: share of items that are among the top ten of at least one of up to
            measurement.SAMPLED_USERS users, in 0..1. So many users can't name more than ten times as
            many items: a catalogue of 100,000 reaches 0.1 at most.
        max_relative_loss: how much lower than that of the version that the label names now
            precision@10 may be, as a share of that, from 0 to below 1: 0.05 for at most 5 % less.
    """

    min_precision_at_10: float | None = None
    min_auc: float | None = None
    min_recall: float | None = None
    min_coverage: float | None = None
    max_relative_loss: float | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for a threshold out of range."""
        for name in (own.name for own in fields(self)):
            value = getattr(self, name)
            # Not `value < 0`, which NaN passes.
            if value is None or 0 <= value < 1:
                continue
            if name == "max_relative_loss":
                raise OptionError("--max-relative-loss", value, "from 0 to below 1")
            if value != 1:
                raise OptionError(f"--{name.replace('_', '-')}", value, "in 0..1")

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return any(getattr(self, own.name) is not None for own in fields(self))


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The version that a label names now beside the new one, both on the new one's test users.

    Attributes:
        version: what the label names; empty when it can't be read.
        precision_at_10: its precision@10; None when it can't be compared with.
        candidate_precision_at_10: that of the new version, of the same users by the same code. It may
            differ in the last digits from the manifest's, which LightFM's own evaluation gave, and by
            more when that drew other users of a large test part.
        trained_on: share of the positives that the label's version was trained on: what is held out
            now it knows then, and its precision is too high.
        problem: why it can't be compared with; empty when it can.
    """

    version: str
    precision_at_10: float | None = None
    candidate_precision_at_10: float | None = None
    trained_on: float = 0.0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the gates are held against. None and NaN both stand for what isn't known.

    Attributes:
        precision_at_10: of the test interactions among unseen items: what users get.
        auc: the same.
        recall_at_10: by name of the index.
        coverage: see Gates.
        baseline: None when the label named nothing before.
    """

    precision_at_10: float | None = None
    auc: float | None = None
    recall_at_10: Mapping[str, float] = field(default_factory=dict)
    coverage: float | None = None
    baseline: Baseline | None = None


@dataclass(frozen=True)
class GateResult:
    """One gate that was asked for.

    Attributes:
        name: the field of Gates.
        passed: whether the version passes it.
        measured: what it was held against, None when unknown; of max_relative_loss the loss, which is
            negative when the new version is better.
        required: the threshold.
        text: a sentence that says what was measured, and of a failure by how much or why.
    """

    name: str
    passed: bool
    measured: float | None
    required: float
    text: str


def check(gates: Gates, measured: Measured) -> list[GateResult]:
    """Hold what was measured against each gate that is asked for, in the order of the fields."""
    found = {
        "min_precision_at_10": ("precision@10", measured.precision_at_10),
        "min_auc": ("AUC", measured.auc),
        "min_coverage": ("coverage", measured.coverage),
    }
    results = []
    for name in (own.name for own in fields(gates)):
        required = getattr(gates, name)
        if required is None:
            continue
        if name == "min_recall":
            results.append(_recall(measured.recall_at_10, required))
        elif name == "max_relative_loss":
            results.append(_relative_loss(measured.baseline, required))
        else:
            results.append(_at_least(name, *found[name], required))
    return results


_UNKNOWN = {
    "min_precision_at_10": "no test interaction could be evaluated; choose another --split",
    "min_auc": "no test interaction could be evaluated; choose another --split",
    "min_coverage": "the version has no users",
}


def _at_least(name: str, what: str, value: float | None, required: float) -> GateResult:
    if not _known(value):
        text = f"{what} isn't known, required at least {required}: {_UNKNOWN[name]}"
        return GateResult(name, False, None, required, text)
    passed, text = _compare(what, value, required)
    return GateResult(name, passed, value, required, text)


def _recall(recall: Mapping[str, float], required: float) -> GateResult:
    values = {name: value for name, value in recall.items() if _known(value)}
    if unknown := [name for name in (*_INDEXES, *recall) if name not in values]:
        text = f"recall@10 of index {unknown[0]!r} isn't known, required at least {required}"
        return GateResult("min_recall", False, None, required, text)
    outcomes = [
        _compare(f"recall@10 of index {name!r}", value, required) for name, value in values.items()
    ]
    return GateResult(
        "min_recall",
        all(passed for passed, _ in outcomes),
        min(values.values()),
        required,
        "; ".join(text for _, text in outcomes),
    )


def _relative_loss(baseline: Baseline | None, allowed: float) -> GateResult:
    name = "max_relative_loss"
    if baseline is None:
        text = "the label names no version yet, so there is nothing to compare precision@10 with"
        return GateResult(name, True, None, allowed, text)
    before, after = baseline.precision_at_10, baseline.candidate_precision_at_10
    if not _known(before) or not _known(after):
        reason = baseline.problem or f"of version {baseline.version} no test interaction is evaluated"
        text = (
            f"precision@10 can't be compared with that of the version before: {reason}; promote a "
            "version by hand, or leave out --max-relative-loss"
        )
        return GateResult(name, False, None, allowed, text)
    loss = (before - after) / before if before > 0 else 0.0
    passed = loss <= allowed + _ROUNDING
    text = (
        f"precision@10 is {after:.4f}, that of version {baseline.version} on the same users "
        f"{before:.4f}: {_change(loss)}, at most {100 * allowed:.4g} % less allowed"
    )
    if not passed:
        text += f": {_amount(before * (1 - allowed) - after)} short"
    if baseline.trained_on:
        text += (
            f"; the latter was trained on {100 * baseline.trained_on:.1f} % of what is held out now, "
            "so it looks better than it is"
        )
    return GateResult(name, passed, loss, allowed, text)


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
