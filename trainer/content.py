"""What callers of a version rely on, of a version that is published or of one in the making."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from publication import layout, ragged
from publication.arrays import map_array
from publication.attributes import Column, TextColumn
from publication.id_map import IdMap
from publication.manifest import AttributeKind, DatasetFacts
from publication.ragged import Ragged
from publication.reader import Publication


@dataclass(frozen=True, kw_only=True)
class Content:
    """See the module.

    Attributes:
        items, users: external id <-> row.
        seen: for each user the rows of the items of the training data, ascending.
        interactions: number of training and test interactions.
        weight: sum of the weights above 0 of these; None where it isn't known.
        attributes: kind of each attribute of the items.
        values: of an attribute, by name, and an item's row, as texts; of a number "" for any.
        title: of an item's row, "" for none; None when there are no titles.
        columns: of items and users, those that features come from, as "items.genres".
        names: of each column that names are known of, the values of its features, as "items.genres":
            {"Drama"}.
    """

    items: IdMap
    users: IdMap
    seen: Ragged
    interactions: int
    weight: float | None
    attributes: Mapping[str, AttributeKind]
    values: Callable[[str, int], Collection[str]]
    title: Callable[[int], str] | None
    columns: Sequence[str]
    names: Mapping[str, frozenset[str]]


def content_of(version: Publication) -> Content:
    """What a published version has; its bytes have been verified."""
    facts = version.manifest
    titles = version.titles
    user_names = version.user_features
    return Content(
        items=version.items,
        users=version.users,
        seen=version.seen,
        interactions=facts.dataset.train_interactions + facts.dataset.test_interactions,
        weight=facts.dataset.weight,
        attributes={own.name: own.kind for own in facts.attributes},
        values=_published_values(version),
        title=None if titles is None else lambda row: ragged.text(titles, row),
        columns=columns_of(facts.dataset),
        names={
            **names_by_column("items", facts.dataset.item_features, _item_features(version)),
            **names_by_column(
                "users",
                facts.dataset.user_features,
                () if user_names is None else map(user_names.external_id, range(len(user_names))),
            ),
        },
    )


def values_of(columns: Sequence[Column]) -> Callable[[str, int], Collection[str]]:
    """Look up the values of attributes that are to be published, as `Content` has them."""
    by_name = {own.name: own for own in columns}

    def values(name: str, row: int) -> Collection[str]:
        column = by_name[name]
        if isinstance(column, TextColumn):
            return column.values[row]
        return () if np.isnan(column.values[row]) else ("",)

    return values


def _published_values(version: Publication) -> Callable[[str, int], Collection[str]]:
    attributes = version.attributes
    position = {own.name: place for place, own in enumerate(version.manifest.attributes)}

    def values(name: str, row: int) -> Collection[str]:
        assert attributes is not None  # noqa: S101 - there is a name
        if attributes.kind(position[name]) == "text":
            return attributes.texts(position[name], row)
        return () if attributes.number(position[name], row) is None else ("",)

    return values


def columns_of(facts: DatasetFacts) -> list[str]:
    """The columns that features come from, as `Content` has them."""
    return [
        *(f"items.{name}" for name in facts.item_features),
        *(f"users.{name}" for name in facts.user_features),
    ]


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
    return {f"{side}.{column}": frozenset(own) for column, own in values.items() if own}


def _item_features(version: Publication) -> list[str]:
    """Names of the item features that the version's model learned; none when it has no model."""
    if layout.MODEL_ITEM_FEATURE_OFFSETS not in version.manifest.files:
        return []
    column = Ragged(
        map_array(version.directory / layout.MODEL_ITEM_FEATURE_OFFSETS, np.int64, (None,)),
        map_array(version.directory / layout.MODEL_ITEM_FEATURE_BYTES, np.uint8, (None,)),
    )
    return [ragged.text(column, row) for row in range(len(column))]
