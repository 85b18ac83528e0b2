"""Compare new input with the version that it will replace.

Bad input often trains well: two events, ids that a spreadsheet wrote as decimals, a column that became
text. The comparison finds it, since such input keeps little of the version that is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from lightfm_retriever.publication.storage.id_map import AnyIds, ItemRow
from trainer.data import id_forms
from trainer.promotion import attribute_values
from trainer.promotion.content import Content, are_few_pairs, doubles, kept_pairs
from trainer.promotion.gates import GateResult, Gates

Kind = Literal["user", "item"]
Random = np.random.Generator

_DRAWN = 20_000
"""Draw at most this many ids or pairs of a side: enough to measure a share to half a percent."""

DEFAULT_KEPT = 0.5
"""The default of the least share of users, items and interactions that must be kept."""

DEFAULT_PAIRS = 0.2
"""The default of the least share of seen items that users of both versions must keep, beyond chance."""

_NAMES_KEPT = 0.5
_TITLES_KEPT = 0.5
# A result that passes with a smaller share of users, items or interactions gives a warning.
_MOST = 0.9
_MUCH_MORE = 0.5
_OTHER_WEIGHT = 3.0
_SHOWN = 3
_HARDLY_ANY = 0.1
_TITLES_KNOWN = 200_000


def check(
    before: Content, now: Content, gates: Gates, *, version: str, max_shrinkage: float | None, seed: int
) -> tuple[list[GateResult], list[str]]:
    """Compare the content of a new version with the version that it will replace.

    `before` is the content of version `version`, `now` that of the new one. The interactions and the
    sum of their weights may shrink by the share `max_shrinkage`. If it is None, half of the
    interactions and any weight may be lost.

    Returns:
        One result for each comparison, and warnings. If `gates` allow different data, all results pass.
    """
    random = np.random.default_rng(seed)
    users = _kept("user", before, now, gates.min_users_kept, version, random)
    items = _kept("item", before, now, gates.min_items_kept, version, random)
    results = [users, items, *_amounts(before, now, version, max_shrinkage)]
    known = [own for own in results if own.passed and own.measured is not None]
    warnings = [own.text for own in known if _is_odd(own, before, now)]
    if users.passed and items.passed:
        least = DEFAULT_PAIRS if gates.min_pairs_kept is None else gates.min_pairs_kept
        pairs = kept_pairs(before, now, least, version, random)
        if pairs is not None:
            results.append(pairs)
            warnings += [pairs.text] if are_few_pairs(pairs) else []
    changes = [
        attribute_values.compare(name, before, now, random)
        for name, kind in before.attributes.items()
        if now.attributes.get(name) == kind
    ]
    titles = _titles(before, now, version, random)
    warnings += [own.text for own in titles if own.passed and (own.measured or 0.0) < _MOST]
    features, gone = _features(before, now, version)
    results += [*_attributes(before, now, version, changes), *titles, *features]
    warnings += gone
    warnings += [warning for own in changes if (warning := own.warning(version))]
    warnings += doubles("user", before.users, now.users, random)
    warnings += doubles("item", before.items, now.items, random)
    if gates.allow_different_data:
        told = "; --allow-different-data allows it"
        results = [
            own if own.passed else GateResult(own.name, True, own.measured, 0.0, own.text + told)
            for own in results
        ]
    return results, warnings


def _is_odd(result: GateResult, before: Content, now: Content) -> bool:
    """Whether a passed result deserves a warning: it keeps little, or grew much."""
    measured = result.measured or 0.0
    if result.name == "interactions":
        # The share that is missing; below 0 if the input grew.
        return not -_MUCH_MORE <= measured <= 1 - _MOST
    if result.name == "weight":
        each, was = (_mean_weight(own) for own in (now, before))
        # Without a column `weight` every weight is 1.
        return not 1 / _OTHER_WEIGHT < each / was < _OTHER_WEIGHT or (each == 1 != was)
    return measured < _MOST


def _mean_weight(content: Content) -> float:
    return (content.weight or 0.0) / max(1, content.interactions)


def _kept(
    kind: Kind, before: Content, now: Content, least: float | None, version: str, random: Random
) -> GateResult:
    """Measure the share of ids that are kept, over users or items with interactions.

    An id that has only features left counts as lost.
    """
    name = f"min_{kind}s_kept"
    required = DEFAULT_KEPT if least is None else least
    old, new = (own.users if kind == "user" else own.items for own in (before, now))
    rows = np.flatnonzero(before.active(kind))
    if not len(rows):
        return GateResult(name, True, None, required, f"version {version} has no {kind}s to keep")
    # Shuffle even if all are compared, so that the examples vary.
    ids = [old.external_id(row) for row in random.permutation(rows)[:_DRAWN].tolist()]
    active = now.active(kind)
    lost = [own for own in ids if (row := new.row(own)) is None or not active[row]]
    share = 1 - len(lost) / len(ids)
    of = f"{len(rows):,}" if len(ids) == len(rows) else f"{len(ids):,} drawn"
    text = f"{len(ids) - len(lost):,} of {of} {kind}s of version {version} are kept by id ({share:.1%})"
    if not (passed := share >= required):
        text += f"; at least {required:.0%} are required (--min-{kind}s-kept)"
    if share < _MOST:
        text += _how(kind, lost, share, before, now, random)
    return GateResult(name, passed, share, required, text)


def _how(
    kind: Kind, lost: Sequence[str], share: float, before: Content, now: Content, random: Random
) -> str:
    """Explain lost ids: the form in which they appear now, or examples."""
    old: AnyIds
    (old, _), (new, other) = (
        (own.users, own.items) if kind == "user" else (own.items, own.users) for own in (before, now)
    )
    drawn = map(new.external_id, random.permutation(len(new)).tolist())
    # An id of the previous version can't be another form of a lost one.
    forms, _ = id_forms.explain(lost, (own for own in drawn if own not in old), new)
    # Ids that are numbers often exist on both sides, so this needs a large share.
    if share < _HARDLY_ANY and sum(own in other for own in lost) > len(lost) / 2:
        forms += "; most of them are in the other column: are user_id and item_id swapped?"
    return f": {forms}" if forms else f"; lost are {', '.join(map(repr, lost[:_SHOWN]))}"


def _amounts(before: Content, now: Content, version: str, most: float | None) -> list[GateResult]:
    allowed = 1 - DEFAULT_KEPT if most is None else most
    text = f"the input has {now.interactions:,} interactions, version {version} {before.interactions:,}"
    results = [_amount("interactions", text, before.interactions, now.interactions, allowed)]
    if before.weight and now.weight is not None:
        text = f"the weights above 0 sum to {now.weight:,.6g}, in version {version} to "
        text += f"{before.weight:,.6g}"
        # A new half-life or new event weights may change the sum of good input.
        allowed = 1.0 if most is None else most
        results.append(_amount("weight", text, before.weight, now.weight, allowed))
    return results


def _amount(name: str, text: str, before: float, now: float, allowed: float) -> GateResult:
    if not before:
        return GateResult(name, True, None, allowed, text)
    change = now / before - 1
    text += f" ({change:+.1%})"
    # A small tolerance, since a share of a count is seldom exact.
    if before - now <= before * allowed + 1e-6:
        return GateResult(name, True, -change, allowed, text)
    text += f": at most {allowed:.1%} less is allowed (--max-shrinkage)"
    return GateResult(name, False, -change, allowed, text)


def _attributes(
    before: Content, now: Content, version: str, changes: Sequence[attribute_values.AttributeChange]
) -> list[GateResult]:
    if not before.attributes:
        return []
    problems = [own.problem for own in changes if own.problem]
    for name, kind in before.attributes.items():
        found = now.attributes.get(name)
        if found is None:
            problems.append(f"{name!r} is gone")
        elif found != kind:
            problems.append(f"{name!r} was {kind} and is {found} now{_such_as(name, now)}")
    if not problems:
        text = f"the {len(before.attributes)} attributes of version {version} are kept with their kinds"
        return [GateResult("attributes", True, 1.0, 1.0, text)]
    share = 1 - len(problems) / len(before.attributes)
    text = f"attributes that callers filter by changed since version {version}: {'; '.join(problems)}"
    return [GateResult("attributes", False, share, 1.0, text)]


def _such_as(name: str, now: Content) -> str:
    """Return an example of a value that made a number attribute text; "" if there is none."""
    for row in map(ItemRow, range(min(len(now.items), _DRAWN))):
        value = now.value(name, row)
        for text in () if isinstance(value, float) or value is None else value:
            try:
                float(text)
            except ValueError:
                return f", such as {text!r} of item {now.items.external_id(row)!r}"
    return ""


def _titles(before: Content, now: Content, version: str, random: Random) -> list[GateResult]:
    if before.title is None:
        return []
    if now.title is None:
        text = f"version {version} has titles of items, but the input has none"
        return [GateResult("titles", False, 0.0, _TITLES_KEPT, text)]
    compared = 0
    changed: list[tuple[str, str, str]] = []
    for row in random.permutation(len(before.items))[:_DRAWN].tolist():
        own = before.items.external_id(row)
        other = now.items.row(own)
        if other is None or not (old := before.title(row)):
            continue
        compared += 1
        if (new := now.title(other)) != old:
            changed.append((own, old, new))
    if not compared:
        return []
    same = compared - len(changed)
    share = same / compared
    text = f"{same:,} of {compared:,} items have the same title as in version {version}"
    if share >= _MOST:
        return [GateResult("titles", True, share, 0.0, text)]
    text += ": the title of item {!r} was {!r} and is {!r} now".format(*changed[0])
    known = {before.title(row) for row in range(min(len(before.items), _TITLES_KNOWN))} - {""}
    emptied = sum(not new for _, _, new in changed)
    swapped = sum(new in known for _, _, new in changed)
    if max(emptied, swapped) < len(changed) / 2:
        # Titles may change harmlessly, for example if each gets a year.
        return [GateResult("titles", True, share, 0.0, text)]
    text += "" if emptied > swapped else ", the title of another item: were items renumbered?"
    passed = share >= _TITLES_KEPT
    return [GateResult("titles", passed, share, _TITLES_KEPT, text)]


def _features(before: Content, now: Content, version: str) -> tuple[list[GateResult], list[str]]:
    """Compare the values of feature columns.

    Values that now have another form fail. Values that are gone only give a warning: seasons end.
    """
    if not before.names:
        return [], []
    problems = [f"column {column!r} is gone" for column in before.names if column not in now.names]
    warnings = []
    for column, values in before.names.items():
        if (found := now.names.get(column)) is None:
            continue
        lost = sorted(values - found)
        if len(lost) <= (1 - _NAMES_KEPT) * len(values):
            continue
        problem = f"{len(lost)} of {len(values)} values of {column!r} are gone"
        forms, is_known = id_forms.explain(lost, sorted(found), found)
        if is_known or not found:
            problems.append(f"{problem}: {forms}" if forms else problem)
        else:
            warnings.append(f"{problem} since version {version}: {forms}")
    if not problems:
        text = f"the features of version {version} are kept"
        return [GateResult("features", True, 1.0, 1.0, text)], warnings
    text = f"features of version {version} changed: {'; '.join(problems)}"
    return [GateResult("features", False, 0.0, 1.0, text)], warnings
