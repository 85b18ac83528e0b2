"""What callers of a version rely on, of a version that is published or of one in the making.

And what users keep of it in the next: what they had seen, and one id each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Column, TextColumn
from lightfm_retriever.publication.manifest import AttributeKind, DatasetFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.arrays import map_file
from lightfm_retriever.publication.storage.id_map import AnyIds, ItemIds, UserIds
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from trainer.data import id_forms
from trainer.promotion.gates import GateResult
from trainer.publishing.publishable import Described

Value = Sequence[str] | float | None
_DRAWN = 20_000
_FEWEST_PAIRS = 50
# Of the pairs of user and item beyond those that chance would keep: ids that were numbered anew keep
# none, and an input that only grew keeps all.
_FEW_PAIRS = 0.9


@dataclass(frozen=True, kw_only=True)
class Content:
    """See the module.

    Attributes:
        items, users: external id <-> row.
        seen: for each user the rows of the items of the interactions, ascending.
        interactions: number of training and test interactions.
        weight: sum of the weights above 0 of these; None where it isn't known.
        attributes: kind of each attribute of the items.
        value: of an attribute, by name, and an item's row: texts, or a number, None for none.
        title: of an item's row, "" for none; None when there are no titles.
        names: of each column of items and users that features come from, the values of these, as
            "items.genres": {"Drama"}; none where they aren't known.
    """

    items: ItemIds
    users: UserIds
    seen: Ragged
    interactions: int
    weight: float | None
    attributes: Mapping[str, AttributeKind]
    value: Callable[[str, int], Value]
    title: Callable[[int], str] | None
    names: Mapping[str, frozenset[str]]

    def active(self, kind: Literal["user", "item"]) -> NDArray[np.bool_]:
        """Which users, or items, have interactions, by row; all of them where nobody has any."""
        if not len(self.seen.values):
            return np.ones(len(self.users if kind == "user" else self.items), dtype=bool)
        if kind == "user":
            return np.diff(self.seen.offsets) > 0
        return np.bincount(self.seen.values, minlength=len(self.items)) > 0


def content_of(version: Publication) -> Content:
    """What a published version has; its bytes have been verified."""
    facts, titles, user_names = version.manifest, version.titles, version.user_features
    return Content(
        items=version.items,
        users=version.users,
        seen=version.seen,
        interactions=facts.dataset.train_interactions + facts.dataset.test_interactions,
        weight=facts.dataset.weight,
        attributes={own.name: own.kind for own in facts.attributes},
        value=_published_values(version),
        title=None if titles is None else lambda row: ragged.text(titles, row),
        names=names_by_column(facts.dataset, _item_features(version), user_names or ()),
    )


def content_in_making(
    told: Described, item_names: Iterable[str] = (), user_names: Iterable[str] = ()
) -> Content:
    """What a version that is still to be published will have; the names are of features."""
    rows, facts = told.seen, told.facts
    if told.held_out is not None:
        owners, values = (
            np.concatenate([getattr(own, name) for own in (rows, told.held_out)])
            for name in ("owners", "values")
        )
        rows = ragged.of_pairs(owners, values, len(told.users))
    return Content(
        items=told.items,
        users=told.users,
        seen=rows,
        interactions=facts.train_interactions + facts.test_interactions,
        weight=facts.weight,
        attributes={own.name: own.kind for own in told.attributes},
        value=_values(told.attributes),
        title=None if told.titles is None else told.titles.__getitem__,
        names=names_by_column(facts, item_names, user_names),
    )


def kept_pairs(
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
        rows = now.items.rows(map(before.items.external_id, before.seen[row].tolist()))
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


def are_few_pairs(result: GateResult) -> bool:
    """Whether pairs that pass are few all the same; of a window that moves nothing is asked."""
    return result.passed and result.required > 0 and (result.measured or 0.0) < _FEW_PAIRS


def doubles(kind: str, before: AnyIds, now: AnyIds, random: np.random.Generator) -> list[str]:
    """A warning when some have come a second time, under an id of another form."""
    drawn = map(now.external_id, random.permutation(len(now))[:_DRAWN].tolist())
    new = [own for own in drawn if own not in before]
    old = map(before.external_id, random.permutation(len(before)).tolist())
    forms = id_forms.doubles((own for own in old if own in now), new, _New(before, now))
    return [f"some {kind}s are there twice, under ids of two forms: {forms}"] if forms else []


class _New:
    """The ids that weren't there before."""

    def __init__(self, before: AnyIds, now: AnyIds) -> None:
        self._before, self._now = before, now

    def __contains__(self, external_id: str, /) -> bool:
        return external_id in self._now and external_id not in self._before


def _values(columns: Sequence[Column]) -> Callable[[str, int], Value]:
    """Look up the values of attributes that are to be published, as `Content` has them."""
    by_name = {own.name: own for own in columns}

    def value(name: str, row: int) -> Value:
        column = by_name[name]
        if isinstance(column, TextColumn):
            return column.values[row]
        return None if np.isnan(column.values[row]) else float(column.values[row])

    return value


def _published_values(version: Publication) -> Callable[[str, int], Value]:
    attributes = version.attributes
    position = {own.name: place for place, own in enumerate(version.manifest.attributes)}

    def value(name: str, row: int) -> Value:
        assert attributes is not None  # noqa: S101 - there is a name
        if attributes.kind(position[name]) == "text":
            return attributes.texts(position[name], row)
        return attributes.number(position[name], row)

    return value


def names_by_column(
    facts: DatasetFacts, item_names: Iterable[str], user_names: Iterable[str]
) -> dict[str, frozenset[str]]:
    """Features "column:value" as the values of each column, as `Content` has them."""
    return {
        **_by_column("items", facts.item_features, item_names),
        **_by_column("users", facts.user_features, user_names),
    }


def _by_column(side: str, columns: Sequence[str], names: Iterable[str]) -> dict[str, frozenset[str]]:
    values: dict[str, set[str]] = {column: set() for column in columns}
    # A column's name may hold a colon: the longest that fits is meant.
    longest_first = sorted(columns, key=len, reverse=True)
    for name in names:
        for column in longest_first:
            if name.startswith(f"{column}:"):
                values[column].add(name[len(column) + 1 :])
                break
    return {f"{side}.{column}": frozenset(own) for column, own in values.items()}


def _item_features(version: Publication) -> list[str]:
    """Names of the item features that the version's model learned; none when it has no model."""
    if layout.MODEL_ITEM_FEATURE_OFFSETS not in version.manifest.files:
        return []
    names = (layout.MODEL_ITEM_FEATURE_OFFSETS, layout.MODEL_ITEM_FEATURE_BYTES)
    column = Ragged(*(map_file(version.directory / name, {}) for name in names))
    return [ragged.text(column, row) for row in range(len(column))]
