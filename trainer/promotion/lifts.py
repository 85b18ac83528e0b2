"""Judge a version by its lift over simple models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lightfm_retriever.publication.facts.evaluation import SimpleModelFacts
from trainer.promotion.gates import GateResult

NAME = "min_lift_over"

_UNKNOWN = (
    "no test interaction could be evaluated, or the catalogue is too large for it; choose another "
    "--split or another model"
)


def check_lifts(
    required: Mapping[str, float], simple_models: Sequence[SimpleModelFacts], family: str
) -> Iterator[GateResult]:
    """Judge the NDCG@10 of a version relative to that of each required simple model.

    Args:
        required: the lowest ratio, by the name of the simple model.
        simple_models: measured on the test users of the version.
        family: the version's own family. It is 1 time as good as itself.
    """
    found = {own.name: own for own in simple_models}
    for name, ratio in required.items():
        own = found.get(name)
        if own is None and name == family:
            text = f"the version is {name} itself, which is 1 time as good, required at least {ratio:g}"
            yield GateResult(NAME, ratio <= 1, 1.0, ratio, text)
            continue
        if own is None:
            text = f"the lift over {name} isn't known, required at least {ratio:g}: {_UNKNOWN}"
            yield GateResult(NAME, False, None, ratio, text)
            continue
        told = (
            f"NDCG@10 is {own.model_ndcg_at_10:.4f}, that of {name} {own.ndcg_at_10:.4f} for the same "
            f"{own.users:,} users"
        )
        if own.ndcg_at_10 == 0:
            passed = own.model_ndcg_at_10 > 0
            yield GateResult(NAME, passed, None, ratio, f"{told}; required {ratio:g} times that")
            continue
        lift = own.model_ndcg_at_10 / own.ndcg_at_10
        text = f"{told}: {lift:.2f} times, required at least {ratio:g} times"
        yield GateResult(NAME, lift >= ratio, lift, ratio, text)
