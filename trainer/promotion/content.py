"""The content of a version that callers rely on, before or after the version is published.

Also two comparisons of users: whether they keep their seen items, and whether each has one id.
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
# Share of the pairs of user and item that are kept beyond chance. Renumbered ids keep none of them, and
# an input that only grew keeps all.
_FEW_PAIRS = 0.9


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a version that callers rely on.

    Attributes:
        items, users: external id <-> row.
        seen: for each user the rows of the items of the interactions, ascending.
        interactions: number of training and test interactions.
        weight: sum of the weights above 0 of these interactions; None if unknown.
        attributes: the kind of each item attribute, by name.
        value: returns the value of an attribute for an item's row: texts, a number, or None.
        title: returns the title of an item's row, or ""; None if there are no titles.
        names: for each feature column its values, such as "items.genres": {"Drama"}; empty if
            unknown.
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
        """Return a mask (n,) of the users or items with interactions; all True if there are none."""
        if not len(self.seen.values):
            return np.ones(len(self.users if kind == "user" else self.items), dtype=bool)
        if kind == "user":
            return np.diff(self.seen.offsets) > 0
        return np.bincount(self.seen.values, minlength=len(self.items)) > 0


def content_of(version: Publication) -> Content:
    """Return the content of a published version, whose bytes the caller has verified."""
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


def content_in_making(told: Described) -> Content:
    """Return the content of a version that isn't published yet."""
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
        names=names_by_column(facts, told.item_feature_names, told.user_feature_names),
    )


def kept_pairs(
    before: Content, now: Content, least: float, version: str, random: np.random.Generator
) -> GateResult | None:
    """Measure the share of seen items that users of both versions keep, corrected for chance.

    An input with fewer interactions than the previous version is expected to keep fewer in proportion.
    `least` is the required share, and `version` the name of the previous version.

    Returns:
        The result of gate min_pairs_kept; None if there are too few pairs to compare.
    """
    wanted = kept = 0
    by_chance = 0.0
    # The probability that a random user has seen each item.
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
    # Gate `interactions` judges how much smaller an input may be.
    left = min(1.0, now.interactions / max(1, before.interactions))
    share = (kept - by_chance) / ((wanted - by_chance) * left)
    text = (
        f"users of both versions keep {kept:,} of {wanted:,} seen items of version {version} "
        f"({kept / wanted:.0%}; chance alone would keep {by_chance / wanted:.0%})"
    )
    if share < _FEW_PAIRS:
        text += ": were ids renumbered, or are interactions missing?"
    return GateResult("min_pairs_kept", share >= least, share, least, text)


def are_few_pairs(result: GateResult) -> bool:
    """Whether a passed min_pairs_kept deserves a warning; never if its threshold is 0."""
    return result.passed and result.required > 0 and (result.measured or 0.0) < _FEW_PAIRS


def doubles(kind: str, before: AnyIds, now: AnyIds, random: np.random.Generator) -> list[str]:
    """Warn if users or items of the previous version appear again under ids of another form."""
    drawn = map(now.external_id, random.permutation(len(now))[:_DRAWN].tolist())
    new = [own for own in drawn if own not in before]
    old = map(before.external_id, random.permutation(len(before)).tolist())
    forms = id_forms.doubles((own for own in old if own in now), new, _New(before, now))
    return [f"some {kind}s appear twice, under ids of two forms: {forms}"] if forms else []


class _New:
    """The ids that the previous version doesn't have."""

    def __init__(self, before: AnyIds, now: AnyIds) -> None:
        self._before, self._now = before, now

    def __contains__(self, external_id: str, /) -> bool:
        return external_id in self._now and external_id not in self._before


def _values(columns: Sequence[Column]) -> Callable[[str, int], Value]:
    """Return a look-up of the values of unpublished attributes; see Content.value."""
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
    """Group features "column:value" by column; see Content.names."""
    return {
        **_by_column("items", facts.item_features, item_names),
        **_by_column("users", facts.user_features, user_names),
    }


def _by_column(side: str, columns: Sequence[str], names: Iterable[str]) -> dict[str, frozenset[str]]:
    values: dict[str, set[str]] = {column: set() for column in columns}
    # The name of a column may hold a colon, so the longest match wins.
    longest_first = sorted(columns, key=len, reverse=True)
    for name in names:
        for column in longest_first:
            if name.startswith(f"{column}:"):
                values[column].add(name[len(column) + 1 :])
                break
    return {f"{side}.{column}": frozenset(own) for column, own in values.items()}


def _item_features(version: Publication) -> list[str]:
    """Return the names of the item features that the version's model learned; [] without a model."""
    if layout.MODEL_ITEM_FEATURE_OFFSETS not in version.manifest.files:
        return []
    names = (layout.MODEL_ITEM_FEATURE_OFFSETS, layout.MODEL_ITEM_FEATURE_BYTES)
    column = Ragged(*(map_file(version.directory / name, {}) for name in names))
    return [ragged.text(column, row) for row in range(len(column))]
