"""Attributes of items: for filters, and to return with results.

A text attribute has any number of distinct values for an item, such as genres. A number attribute has
one value or none, such as a year. Each value of a text attribute is a *token*: a row of one id map for
all text attributes. The keys of that map are "POSITION:VALUE", where POSITION is the attribute's place
in the manifest. Posting lists map tokens to items; a second table maps items to tokens. The values of
each number attribute are stored by item, and sorted.
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
"""The longest value of a text attribute, in bytes of UTF-8."""


@dataclass(frozen=True)
class TextColumn:
    """A text attribute to publish: the values of each item row, in any order, none empty."""

    kind: ClassVar[AttributeKind] = "text"
    name: str
    values: Sequence[Sequence[str]]


@dataclass(frozen=True)
class NumberColumn:
    """A number attribute to publish: (items,) by item row, NaN for items without a value."""

    kind: ClassVar[AttributeKind] = "number"
    name: str
    values: NDArray[np.float64]


Column = TextColumn | NumberColumn


@dataclass(frozen=True)
class TextIndex:
    """All text attributes: the item rows of each token, and the tokens of each item, ascending."""

    values: AnyIds
    items: Ragged
    tokens: Ragged


@dataclass(frozen=True)
class NumberIndex:
    """All number attributes, each array (number attributes, items): by item row, and sorted."""

    values: NDArray[np.float64]
    order: NDArray[np.int32]
    ordered: NDArray[np.float64]


class Attributes:
    """The attributes of a version's items. When opened from files, they consist of memory maps.

    `facts` come from the manifest; an attribute's place in them is its *position*. `text` and `number`
    are None if there is no attribute of that kind.
    """

    def __init__(
        self, facts: Sequence[AttributeFacts], text: TextIndex | None, number: NumberIndex | None
    ) -> None:
        self.facts = facts
        self.text = text
        self.number_arrays = number
        self._positions = {attribute.name: position for position, attribute in enumerate(facts)}
        numbers = [position for position, own in enumerate(facts) if own.kind == "number"]
        # The row of each number attribute in the arrays.
        self._number_rows = {position: row for row, position in enumerate(numbers)}

    @classmethod
    def build(cls, columns: Sequence[Column], items: int) -> Attributes:
        """Build attributes from columns, in the order of their positions.

        Args:
            columns: one column for each attribute, with distinct names.
            items: the number of rows of each column.

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
        """Return the position of an attribute, None if it doesn't exist."""
        return self._positions.get(name)

    def kind(self, position: int) -> AttributeKind:
        """Return the kind of an attribute."""
        return self.facts[position].kind

    def token(self, position: int, value: str) -> int | None:
        """Return the token of a text attribute's value, None if no item has the value."""
        return self._texts.values.row(_key(position, value))

    def values_of(self, position: int) -> tuple[AnyIds, str]:
        """Return the id map with the values of a text attribute, and the prefix of their keys."""
        return self._texts.values, _key(position, "")

    def items_with(self, token: int) -> NDArray[np.int32]:
        """Return the rows of the items that have a value, ascending, as a view."""
        return self._texts.items[token]

    @property
    def tokens(self) -> Ragged:
        """The tokens of each item row, ascending; LookupError if no attribute is text."""
        return self._texts.tokens

    def texts(self, position: int, row: int) -> list[str]:
        """Return an item's values of a text attribute, sorted by code point."""
        texts, prefix = self._texts, _key(position, "")
        keys = [texts.values.external_id(token) for token in texts.tokens[row].tolist()]
        return sorted(key.removeprefix(prefix) for key in keys if key.startswith(prefix))

    def number(self, position: int, row: int) -> float | None:
        """Return an item's value of a number attribute, None if it has none."""
        value = float(self.number_index(position)[0][row])
        return None if np.isnan(value) else value

    def number_index(
        self, position: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]:
        """Return a number attribute's values by row, rows by value, and values in that order.

        Each is (items,), as in NumberIndex. Raises LookupError if the attribute isn't a number.
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
