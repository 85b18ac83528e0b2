"""What users keep of a version: what they had seen, and one id each."""

from __future__ import annotations

import numpy as np

from lightfm_retriever.publication.storage.id_map import AnyIds
from lightfm_retriever.publication.storage.ragged import are_among
from trainer.data import id_forms
from trainer.promotion.content import Content
from trainer.promotion.gates import GateResult

_DRAWN = 20_000
_FEWEST_PAIRS = 50
# Of the pairs of user and item beyond those that chance would keep: ids that were numbered anew keep
# none, and an input that only grew keeps all.
_FEW_PAIRS = 0.9


def pairs(
    before: Content, now: Content, least: float, version: str, random: np.random.Generator
) -> GateResult | None:
    """Tell how much of what users in common had seen they still have, beyond what chance would leave.

    Of an input with fewer interactions than the version has, that much less is expected.

    `least` is the share that is required of version `version`, the one before. None where too few pairs
    tell nothing.
    """
    wanted = kept = 0
    by_chance = 0.0
    # How likely a user has an item that has nothing to do with the user.
    likely = np.bincount(now.seen.values, minlength=len(now.items)) / max(1, len(now.users))
    for row in random.permutation(len(before.users)).tolist():
        if wanted >= _DRAWN:
            break
        user = now.users.row(before.users.external_id(row))
        if user is None:
            continue
        rows = now.items.rows([*map(before.items.external_id, before.seen[row].tolist())])
        rows = rows[rows >= 0]
        wanted += len(rows)
        kept += int(are_among(rows, now.seen[user]).sum())
        by_chance += float(likely[rows].sum())
    if wanted - by_chance < _FEWEST_PAIRS:
        return None
    # How much smaller an input may be is another question.
    left = min(1.0, now.interactions / max(1, before.interactions))
    share = (kept - by_chance) / ((wanted - by_chance) * left)
    text = (
        f"users have {kept:,} of {wanted:,} of the items that they had seen in version {version} "
        f"({kept / wanted:.0%}; {by_chance / wanted:.0%} would be chance)"
    )
    if share < _FEW_PAIRS:
        text += ": were ids numbered anew, or are interactions missing?"
    return GateResult("min_pairs_kept", share >= least, share, least, text)


def is_odd(result: GateResult) -> bool:
    """Whether pairs that pass are few all the same; of a window that moves nothing is asked."""
    return result.passed and result.required > 0 and (result.measured or 0.0) < _FEW_PAIRS


class _New:
    """The ids that weren't there before."""

    def __init__(self, before: AnyIds, now: AnyIds) -> None:
        self._before, self._now = before, now

    def __contains__(self, external_id: str, /) -> bool:
        return external_id in self._now and external_id not in self._before


def doubles(kind: str, before: AnyIds, now: AnyIds, random: np.random.Generator) -> list[str]:
    """A warning when some have come a second time, under an id of another form."""
    drawn = map(now.external_id, random.permutation(len(now))[:_DRAWN].tolist())
    new = [own for own in drawn if own not in before]
    old = map(before.external_id, random.permutation(len(before)).tolist())
    forms = id_forms.doubles((own for own in old if own in now), new, _New(before, now))
    return [f"some {kind}s are there twice, under ids of two forms: {forms}"] if forms else []
