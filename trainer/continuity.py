"""What a new input keeps of the version that it is to replace, and whether that is enough.

Bad input often trains well: two events, ids that a spreadsheet wrote as decimals, a column that became
text. What shows is that little of what is served would be left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from publication.id_map import IdMap
from publication.ragged import are_among
from trainer import id_forms
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
# Of the pairs of user and item beyond those that chance would keep: ids that were numbered anew keep
# none, and a window of 30 days that moved by a week more than three quarters.
_FEW_PAIRS = 0.75
# Of the values of text attributes, which are edited, too.
_FEW_VALUES = 0.7
_ITEMS_COMPARED = 5_000


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
    if users.passed and items.passed:
        warnings += _pairs(before, now, version, random)
    warnings += _values(before, now, version, random)
    warnings += _doubles("user", before.users, now.users, random)
    warnings += _doubles("item", before.items, now.items, random)
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


class _New:
    """The ids that weren't there before."""

    def __init__(self, before: IdMap, now: IdMap) -> None:
        self._before, self._now = before, now

    def __contains__(self, external_id: str, /) -> bool:
        return external_id in self._now and external_id not in self._before


def _doubles(kind: str, before: IdMap, now: IdMap, random: np.random.Generator) -> list[str]:
    """A warning when some have come a second time, under an id of another form."""
    drawn = map(now.external_id, random.permutation(len(now))[:_DRAWN].tolist())
    new = [own for own in drawn if own not in before]
    old = map(before.external_id, random.permutation(len(before)).tolist())
    forms = id_forms.doubles((own for own in old if own in now), new, _New(before, now))
    return [f"some {kind}s are there twice, under ids of two forms: {forms}"] if forms else []


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
            had, has, _, _ = _compared(name, before, now, random)
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


def _values(before: Content, now: Content, version: str, random: np.random.Generator) -> list[str]:
    """Warnings of attributes that fewer items have, or of which many values are gone."""
    warnings = []
    for name in before.attributes:
        if before.attributes[name] != now.attributes.get(name):
            continue
        had, has, values, kept = _compared(name, before, now, random)
        if had and has < _MOST * had:
            warnings.append(
                f"only {has:,} of {had:,} items that have attribute {name!r} in version {version} have "
                "it now"
            )
        elif values and kept < _FEW_VALUES * values:
            warnings.append(
                f"only {kept:,} of {values:,} values of attribute {name!r} that items have in version "
                f"{version} are those that they have now"
            )
    return warnings


def _compared(
    name: str, before: Content, now: Content, random: np.random.Generator
) -> tuple[int, int, int, int]:
    """Of items in common: how many had the attribute, and have it; how many values, and kept ones."""
    had = has = values = kept = 0
    for row in random.permutation(len(before.items))[:_ITEMS_COMPARED].tolist():
        other = now.items.row(before.items.external_id(row))
        if other is None or not (old := before.values(name, row)):
            continue
        new = now.values(name, other)
        had += 1
        has += bool(new)
        values += len(old)
        kept += sum(value in new for value in old)
    return had, has, values, kept


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


def _pairs(before: Content, now: Content, version: str, random: np.random.Generator) -> list[str]:
    """A warning when users in common have next to nothing in common with themselves."""
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
        rows = _rows_now(before.items, now.items, before.seen[row])
        wanted += len(rows)
        kept += int(are_among(rows, now.seen[user]).sum())
        by_chance += float(likely[rows].sum())
    if kept - by_chance >= _FEW_PAIRS * (wanted - by_chance):
        return []
    warning = (
        f"users of version {version} have only {kept:,} of {wanted:,} of the items that they had seen "
        f"there ({kept / wanted:.0%}, and {by_chance / wanted:.0%} would be chance): were ids numbered "
        "anew, or are interactions missing?"
    )
    return [warning]


def _rows_now(before: IdMap, now: IdMap, rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """The rows in the new map of rows in the old one; those that are gone are left out."""
    found = [now.row(before.external_id(row)) for row in rows.tolist()]
    return np.array([row for row in found if row is not None], dtype=np.int32)
