"""What users and items keep of a version where nothing fails: what was seen, values, one id each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from publication.id_map import IdMap
from publication.ragged import are_among
from trainer import id_forms
from trainer.content import Content

_DRAWN = 20_000
# Fewer of the items that had an attribute are worth a word.
_MOST = 0.9
# Of the pairs of user and item beyond those that chance would keep: ids that were numbered anew keep
# none, and a window of 30 days that moved by a week more than three quarters.
_FEW_PAIRS = 0.75
# Of the values of text attributes, which are edited, too.
_FEW_VALUES = 0.7
_ITEMS_COMPARED = 5_000


def warnings_of(
    before: Content, now: Content, version: str, random: np.random.Generator, *, pairs: bool
) -> list[str]:
    """Tell of users who lost what they had seen, values that are gone, and ids of two forms.

    Args:
        before, now: of the version that a label names, and of the new one.
        version: the name of the one before.
        random: of what is drawn.
        pairs: whether users and items have enough ids in common for their pairs to say something.
    """
    return [
        *(_pairs(before, now, version, random) if pairs else ()),
        *_values(before, now, version, random),
        *_doubles("user", before.users, now.users, random),
        *_doubles("item", before.items, now.items, random),
    ]


def compare_values(
    name: str, before: Content, now: Content, random: np.random.Generator
) -> tuple[int, int, int, int]:
    """Count items in common that had an attribute, and that have it; their values, and kept ones."""
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


def _values(before: Content, now: Content, version: str, random: np.random.Generator) -> list[str]:
    """Warnings of attributes that fewer items have, or of which many values are gone."""
    warnings = []
    for name in before.attributes:
        if before.attributes[name] != now.attributes.get(name):
            continue
        had, has, values, kept = compare_values(name, before, now, random)
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
