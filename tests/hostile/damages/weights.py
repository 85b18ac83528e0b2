"""Weights that are no numbers, no use, or of another size."""

from __future__ import annotations

from tests.hostile.damage import kind
from tests.hostile.draft import SHARES, Draft
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_BY_WEIGHT = ("weights", "half-life", "plain")
_FEW_FIRST = ("few", "one", "percent", "half", "all")
_CAUSE = r"\bweights?\b"


@kind(
    "huge weights", sources=_ALL, recipes=_BY_WEIGHT, share=_FEW_FIRST,
    value=(3e38, 1e30, 1e15, 1e6),
)  # fmt: skip
def huge(draft: Draft, *, share: str, value: float) -> str:
    draft.change("weight", share, lambda _: value)
    return _CAUSE


@kind("weights below 0", sources=_ALL, recipes=_BY_WEIGHT, share=SHARES, value=(-1.0, -1e30))
def negative(draft: Draft, *, share: str, value: float) -> str:
    draft.change("weight", share, lambda _: value)
    return _CAUSE


@kind("weights of 0", sources=_ALL, recipes=_BY_WEIGHT, share=SHARES)
def zero(draft: Draft, *, share: str) -> str:
    draft.change("weight", share, lambda _: 0.0)
    return _CAUSE


@kind("tiny weights", sources=_ALL, recipes=_BY_WEIGHT, share=SHARES, value=(1e-40, 1e-30, 1e-12))
def tiny(draft: Draft, *, share: str, value: float) -> str:
    draft.change("weight", share, lambda _: value)
    return _CAUSE


@kind(
    "weights that aren't finite",
    sources=_ALL,
    recipes=_BY_WEIGHT,
    share=SHARES,
    value=("nan", "inf", "-inf"),
)
def not_finite(draft: Draft, *, share: str, value: str) -> str:
    draft.change("weight", share, lambda _: float(value))
    return _CAUSE


@kind("weights of another size", sources=_ALL, recipes=_BY_WEIGHT, times=(100, 1e4, 1e-4), part=(10, 2))
def other_size(draft: Draft, *, times: float, part: int) -> str:
    weights = draft.log["weight"]
    for row in range(len(weights) - len(weights) // part, len(weights)):
        weights[row] *= times
    return _CAUSE


@kind(
    "weights as words",
    recipes=_BY_WEIGHT,
    share=SHARES,
    form=("{:g} stars", "{:.1f}".replace(".1f", "g") + "%"),
)
def words(draft: Draft, *, share: str, form: str) -> str:
    draft.change("weight", share, form.format)
    return _CAUSE


@kind("weights with a comma", recipes=_BY_WEIGHT, share=SHARES)
def comma(draft: Draft, *, share: str) -> str:
    draft.change("weight", share, lambda own: f"{own:.1f}".replace(".", ","))
    return _CAUSE


@kind("weights missing", recipes=_BY_WEIGHT, share=SHARES)
def missing(draft: Draft, *, share: str) -> str:
    draft.change("weight", share, lambda _: None)
    return _CAUSE
