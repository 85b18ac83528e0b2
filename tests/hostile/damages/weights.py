"""Weights that are no numbers, no use, or of another size."""

from functools import partial

from tests.hostile.damage import changes, kind
from tests.hostile.draft import SHARES, Draft
from tests.hostile.writing import TABLES

_ALL = (*TABLES, "events")
_BY_WEIGHT = ("weights", "half-life", "plain")
_FEW_FIRST = ("few", "one", "percent", "half", "all")
_CAUSE = r"\bweights?\b"
_weights = partial(changes, "weight", cause=_CAUSE, recipes=_BY_WEIGHT, share=SHARES)
_any_weights = partial(_weights, sources=_ALL)


def _put(_: object, value: float | str) -> float:
    return float(value)


# Finite, but not their sum.
_any_weights("huge weights", _put, share=_FEW_FIRST, value=(3e38, 1e30, 1e15, 1e6))
# Returns, for instance.
_any_weights("weights below 0", _put, value=(-1.0, -1e30))
_any_weights("weights of 0", lambda _: 0.0)
_any_weights("tiny weights", _put, value=(1e-40, 1e-30, 1e-12))
_any_weights("weights that aren't finite", _put, value=("nan", "inf", "-inf"))


@kind("weights of another size", sources=_ALL, recipes=_BY_WEIGHT, times=(100, 1e4, 1e-4), part=(10, 2))
def other_size(draft: Draft, *, times: float, part: int) -> str:
    """The newest batch counts cents."""
    weights = draft.log["weight"]
    for row in range(len(weights) - len(weights) // part, len(weights)):
        weights[row] *= times
    return _CAUSE


_weights("weights as words", lambda own, form: form.format(own), form=("{:g} stars", "{:g}%"))
_weights("weights with a comma", lambda own: f"{own:.1f}".replace(".", ","))
_weights("weights missing", lambda _: None)
