"""What callers of a version rely on, of a version that is published or of one in the making."""

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
from lightfm_retriever.publication.storage.id_map import ItemIds, UserIds
from lightfm_retriever.publication.storage.ragged import Ragged

Value = Sequence[str] | float | None


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
        names={
            **names_by_column("items", facts.dataset.item_features, _item_features(version)),
            **names_by_column("users", facts.dataset.user_features, user_names or ()),
        },
    )


def content_in_making(
    *,
    items: ItemIds,
    users: UserIds,
    seen: tuple[Ragged, Ragged | None],
    titles: Sequence[str] | None,
    facts: DatasetFacts,
    attributes: Sequence[Column],
) -> Content:
    """What a version that is still to be published will have; see Publishable and Content.

    `seen` are the rows of items that users have seen, and those that are held out.
    """
    rows, held_out = seen
    if held_out is not None:
        owners, values = (
            np.concatenate([getattr(own, name) for own in (rows, held_out)])
            for name in ("owners", "values")
        )
        rows = ragged.of_pairs(owners, values, len(users))
    return Content(
        items=items,
        users=users,
        seen=rows,
        interactions=facts.train_interactions + facts.test_interactions,
        weight=facts.weight,
        attributes={own.name: own.kind for own in attributes},
        value=_values(attributes),
        title=None if titles is None else titles.__getitem__,
        names={},
    )


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
    side: str, columns: Sequence[str], names: Iterable[str]
) -> dict[str, frozenset[str]]:
    """Features "column:value" as the values of each column, as `Content` has them."""
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
