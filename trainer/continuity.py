"""What a new input keeps of the version that it is to replace, and whether that is enough.

Bad input often trains well: two events, ids that a spreadsheet wrote as decimals, a column that became
text. What shows is that little of what is served would be left.
"""

from __future__ import annotations

import numpy as np

from publication.id_map import IdMap
from trainer import id_forms, kept_in_detail
from trainer.content import Content
from trainer.gates import GateResult, Gates

_DRAWN = 20_000
"""Of more ids or pairs on a side so many are drawn: enough to tell a share to half a percent."""

DEFAULT_KEPT = 0.5
"""The least share of users, items and interactions that is kept, where nothing is asked for."""

_NAMES_KEPT = 0.5
_TITLES_KEPT = 0.5
# What passes, but with less than this share of users, items or interactions, is worth a look.
_MOST = 0.9
_MUCH_MORE = 0.5


def check(
    before: Content, now: Content, gates: Gates, *, version: str, max_shrinkage: float | None, seed: int
) -> tuple[list[GateResult], list[str]]:
    """Hold what a new version is to be made of against the one that it is to replace.

    Args:
        before: of the version that the label names.
        now: of the new one.
        gates: `min_users_kept`, `min_items_kept` and `allow_different_data` of it.
        version: the name of the one before, for the sentences.
        max_shrinkage: the largest share of the interactions, and of their weight, that may be missing;
            None for half of the interactions and any weight.
        seed: of what is drawn.

    Returns:
        A result for each thing that is compared, of which all have passed where different data are
        allowed; and warnings.
    """
    random = np.random.default_rng(seed)
    users = _kept("user", before.users, now.users, gates.min_users_kept, version, random)
    items = _kept("item", before.items, now.items, gates.min_items_kept, version, random)
    amounts = _amounts(before, now, version, max_shrinkage)
    warnings = [
        own.text
        for own in (users, items, amounts[0])
        if own.passed and own.measured is not None and _is_odd(own)
    ]
    results = [
        users,
        items,
        *amounts,
        *_attributes(before, now, version, random),
        *_titles(before, now, version, random),
        *_features(before, now, version),
    ]
    ids_are_kept = users.passed and items.passed
    warnings += kept_in_detail.warnings_of(before, now, version, random, pairs=ids_are_kept)
    if gates.allow_different_data:
        results = [
            own if own.passed else GateResult(own.name, True, own.measured, 0.0, own.text + _ALLOWED)
            for own in results
        ]
    return results, warnings


_ALLOWED = " (--allow-different-data)"


def _is_odd(result: GateResult) -> bool:
    """Whether what passed is little all the same, or much more than there was."""
    measured = result.measured or 0.0
    if result.name == "interactions":
        # How much is missing; below 0 when there are more.
        return not -_MUCH_MORE <= measured <= 1 - _MOST
    return measured < _MOST


def _kept(
    kind: str,
    before: IdMap,
    now: IdMap,
    least: float | None,
    version: str,
    random: np.random.Generator,
) -> GateResult:
    name = f"min_{kind}s_kept"
    required = DEFAULT_KEPT if least is None else least
    if not len(before):
        return GateResult(name, True, None, required, f"version {version} has no {kind}s to keep")
    # In random order also when all are looked at, so that the examples aren't all alike.
    drawn = random.permutation(len(before))[:_DRAWN]
    ids = [before.external_id(row) for row in drawn.tolist()]
    lost = [own for own in ids if own not in now]
    share = 1 - len(lost) / len(ids)
    of = f"{len(before):,}" if len(ids) == len(before) else f"{len(ids):,} drawn"
    text = f"{len(ids) - len(lost):,} of {of} {kind}s of version {version} are kept by id ({share:.1%})"
    passed = share >= required
    if not passed:
        text += f", at least {required:.0%} required"
    if share < _MOST:
        present = map(now.external_id, random.permutation(len(now)).tolist())
        if forms := id_forms.explain(lost, present, now):
            text += f": {forms}"
    return GateResult(name, passed, share, required, text)


def _amounts(
    before: Content, now: Content, version: str, max_shrinkage: float | None
) -> list[GateResult]:
    allowed = 1 - DEFAULT_KEPT if max_shrinkage is None else max_shrinkage
    text = f"{now.interactions:,} interactions, version {version} has {before.interactions:,}"
    results = [_amount("interactions", text, before.interactions, now.interactions, allowed)]
    if before.weight and now.weight is not None:
        text = (
            f"the weights above 0 sum to {now.weight:,.6g}, those of version {version} to "
            f"{before.weight:,.6g}"
        )
        # Another half-life or other event weights change it, and nothing is wrong.
        allowed = 1.0 if max_shrinkage is None else max_shrinkage
        results.append(_amount("weight", text, before.weight, now.weight, allowed))
    return results


def _amount(name: str, text: str, before: float, now: float, allowed: float) -> GateResult:
    if not before:
        return GateResult(name, True, None, allowed, text)
    change = now / before - 1
    text += f" ({change:+.1%})"
    # A little more, since a share of a count is seldom exact.
    if before - now <= before * allowed + 1e-6:
        return GateResult(name, True, -change, allowed, text)
    text += f": at most {allowed:.1%} less is allowed (--max-shrinkage)"
    return GateResult(name, False, -change, allowed, text)


def _attributes(
    before: Content, now: Content, version: str, random: np.random.Generator
) -> list[GateResult]:
    if not before.attributes:
        return []
    problems = []
    for name, kind in before.attributes.items():
        found = now.attributes.get(name)
        if found is None:
            problems.append(f"{name!r} is gone")
        elif found != kind:
            problems.append(f"{name!r} was {kind} and is {found} now")
        else:
            had, has, _, _ = kept_in_detail.compare_values(name, before, now, random)
            if had and has < _NAMES_KEPT * had:
                problems.append(f"only {has:,} of {had:,} items that had {name!r} have it now")
    if not problems:
        text = f"the {len(before.attributes)} attributes of version {version} are kept with their kinds"
        return [GateResult("attributes", True, 1.0, 1.0, text)]
    share = 1 - len(problems) / len(before.attributes)
    text = (
        f"attributes of version {version} changed: {'; '.join(problems)}: callers' filters would be "
        "refused"
    )
    return [GateResult("attributes", False, share, 1.0, text)]


def _titles(
    before: Content, now: Content, version: str, random: np.random.Generator
) -> list[GateResult]:
    if before.title is None:
        return []
    if now.title is None:
        text = f"version {version} has titles of items, and the new one would have none"
        return [GateResult("titles", False, 0.0, _TITLES_KEPT, text)]
    compared = same = 0
    example = ""
    for row in random.permutation(len(before.items))[:_DRAWN].tolist():
        own = before.items.external_id(row)
        other = now.items.row(own)
        if other is None or not (old := before.title(row)):
            continue
        compared += 1
        new = now.title(other)
        same += old == new
        if old != new:
            example = example or f"item {own!r} was {old!r} and is {new!r} now"
    if not compared:
        return []
    share = same / compared
    text = f"{same:,} of {compared:,} items have the title that they have in version {version}"
    if share >= _TITLES_KEPT:
        return [GateResult("titles", True, share, _TITLES_KEPT, text)]
    text += f", at least {_TITLES_KEPT:.0%} required: {example}; were items numbered anew?"
    return [GateResult("titles", False, share, _TITLES_KEPT, text)]


def _features(before: Content, now: Content, version: str) -> list[GateResult]:
    if not before.columns:
        return []
    problems = [f"column {column!r} is gone" for column in before.columns if column not in now.columns]
    for column, values in before.names.items():
        if column not in now.columns:
            continue
        lost = sorted(values - now.names.get(column, frozenset()))
        if len(lost) > (1 - _NAMES_KEPT) * len(values):
            problem = f"{len(lost)} of {len(values)} values of {column!r} are gone"
            forms = id_forms.explain(lost, sorted(now.names.get(column, ())), now.names.get(column, ()))
            problems.append(f"{problem}: {forms}" if forms else problem)
    if not problems:
        text = f"the features of version {version} are kept, with their names"
        return [GateResult("features", True, 1.0, 1.0, text)]
    text = f"features of version {version} changed: {'; '.join(problems)}"
    return [GateResult("features", False, 0.0, 1.0, text)]
