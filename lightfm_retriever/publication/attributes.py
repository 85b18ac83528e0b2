"""Attributes of items: what filters ask for, and what is returned with results.

A text attribute has any number of distinct values an item, such as genres; a number attribute one or
none, such as a year. Each value of a text attribute is a *token*: a row of one id map over all text
attributes, whose keys are "POSITION:VALUE", POSITION being the attribute's place in the manifest.
Posting lists lead from tokens to items, and the same pairs the other way round from items to tokens.
The numbers of each number attribute are there by item, and sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.manifest import AttributeFacts, AttributeKind
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import AnyIds, IdMap
from lightfm_retriever.publication.storage.ragged import Ragged

MAX_VALUE_BYTES = 500
"""Longest value of a text attribute, in bytes of UTF-8."""


@dataclass(frozen=True)
class TextColumn:
    """A text attribute to publish: for each item row its values, in any order, none empty."""

    kind: ClassVar[AttributeKind] = "text"
    name: str
    values: Sequence[Sequence[str]]


@dataclass(frozen=True)
class NumberColumn:
    """A number attribute to publish: by item row (items,), NaN where an item has none."""

    kind: ClassVar[AttributeKind] = "number"
    name: str
    values: NDArray[np.float64]


Column = TextColumn | NumberColumn


@dataclass(frozen=True)
class TextIndex:
    """Of all text attributes together: each token's item rows, and each item's tokens, ascending."""

    values: AnyIds
    items: Ragged
    tokens: Ragged


@dataclass(frozen=True)
class NumberIndex:
    """Of all number attributes, each (number attributes, items): by item row, and in order."""

    values: NDArray[np.float64]
    order: NDArray[np.int32]
    ordered: NDArray[np.float64]


class Attributes:
    """The attributes of a publication's items. Opened ones hold nothing but memory maps.

    `facts` are the manifest's; an attribute's place among them is its *position*. `text` and `number`
    are None when there is no attribute of the kind.
    """

    def __init__(
        self, facts: Sequence[AttributeFacts], text: TextIndex | None, number: NumberIndex | None
    ) -> None:
        self.facts = facts
        self.text = text
        self.number_arrays = number
        self._positions = {attribute.name: position for position, attribute in enumerate(facts)}
        numbers = [position for position, own in enumerate(facts) if own.kind == "number"]
        # Of each number attribute its row in the arrays.
        self._number_rows = {position: row for row, position in enumerate(numbers)}

    @classmethod
    def build(cls, columns: Sequence[Column], items: int) -> Attributes:
        """From one column for each attribute, in the order of their positions.

        Args:
            columns: with distinct names.
            items: number of rows of each.

        Raises:
            ValueError: a column has another number of rows, a text value is empty or too long, or a
                number is infinite.
        """
        texts: dict[int, Sequence[Sequence[str]]] = {}
        numbers = []
        for position, column in enumerate(columns):
            if len(column.values) != items:
                raise ValueError(f"{column.name!r} has {len(column.values)} rows, not {items}")
            if isinstance(column, TextColumn):
                texts[position] = column.values
            else:
                numbers.append(np.asarray(column.values, dtype=np.float64))
        facts = [AttributeFacts(name=own.name, kind=own.kind) for own in columns]
        return cls(
            facts,
            _text_index(texts, items) if texts else None,
            _number_index(np.stack(numbers)) if numbers else None,
        )

    def position(self, name: str) -> int | None:
        """The position of an attribute, None when there is no such one."""
        return self._positions.get(name)

    def kind(self, position: int) -> AttributeKind:
        """What an attribute's values are."""
        return self.facts[position].kind

    def token(self, position: int, value: str) -> int | None:
        """The token of a value of a text attribute, None when no item has the value."""
        return self._texts.values.row(_key(position, value))

    def values_of(self, position: int) -> tuple[AnyIds, str]:
        """Where the values of a text attribute are: in an id map, behind a prefix."""
        return self._texts.values, _key(position, "")

    def items_with(self, token: int) -> NDArray[np.int32]:
        """Rows of the items that have a value, ascending, as a view."""
        return self._texts.items[token]

    @property
    def tokens(self) -> Ragged:
        """For each item row its tokens, ascending; LookupError when no attribute is text."""
        return self._texts.tokens

    def texts(self, position: int, row: int) -> list[str]:
        """An item's values of a text attribute, sorted by code point."""
        texts, prefix = self._texts, _key(position, "")
        keys = [texts.values.external_id(token) for token in texts.tokens[row].tolist()]
        return sorted(key.removeprefix(prefix) for key in keys if key.startswith(prefix))

    def number(self, position: int, row: int) -> float | None:
        """An item's value of a number attribute, None when it has none."""
        value = float(self.number_index(position)[0][row])
        return None if np.isnan(value) else value

    def number_index(
        self, position: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]:
        """Of a number attribute the values by row, the rows by value, and the values in that order.

        Each (items,), as in NumberIndex. LookupError when the attribute isn't a number.
        """
        row = self._number_rows[position]
        number = self.number_arrays
        assert number is not None  # noqa: S101 - there is a row of it
        return number.values[row], number.order[row], number.ordered[row]

    @property
    def _texts(self) -> TextIndex:
        if self.text is None:
            raise LookupError("no attribute is text")
        return self.text


def _key(position: int, value: str) -> str:
    return f"{position}:{value}"


def _text_index(columns: dict[int, Sequence[Sequence[str]]], items: int) -> TextIndex:
    distinct = {
        position: {value for own in rows for value in own} for position, rows in columns.items()
    }
    for values in distinct.values():
        for value in values:
            if not value or len(value.encode()) > MAX_VALUE_BYTES:
                raise ValueError(f"{value[:60]!r} should have 1 to {MAX_VALUE_BYTES} bytes of UTF-8")
    keys = [_key(position, value) for position, values in distinct.items() for value in values]
    id_map: AnyIds = IdMap.build(sorted(keys))
    owners, tokens = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for position, rows in columns.items():
        token_of = {value: id_map.row(_key(position, value)) for value in distinct[position]}
        owners.append(np.repeat(np.arange(items), [len(own) for own in rows]))
        tokens.append(np.fromiter((token_of[value] for own in rows for value in own), dtype=np.int64))
    by_item = ragged.of_pairs(np.concatenate(owners), np.concatenate(tokens), items)
    by_token = ragged.of_pairs(by_item.values.astype(np.int64), by_item.owners, len(id_map))
    return TextIndex(id_map, items=by_token, tokens=by_item)


def _number_index(values: NDArray[np.float64]) -> NumberIndex:
    if np.isinf(values).any():
        raise ValueError("a number is infinite")
    # NaN sorts last.
    order = np.argsort(values, axis=1, kind="stable")
    return NumberIndex(values, order.astype(np.int32), np.take_along_axis(values, order, axis=1))
