"""Divide a test into segments: by the activity of users, the popularity of items, and by attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.attributes import Column, TextColumn
from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.errors import OptionError
from trainer.evaluation.held_out_test import Segment
from trainer.preparing.dataset import Dataset

OPTION = "--segment-by"

FEW = 5
"""The most training interactions of a cold user or a cold item."""

MOST_VALUES = 20
"""The most values of an attribute that are measured: the commonest."""

_THIRDS = ("low", "middle", "high")


def usual(seen: Ragged, popularity: NDArray[np.integer]) -> list[Segment]:
    """Return the segments of every test.

    Args:
        seen: for each user the rows of seen items.
        popularity: (items,) the number of users with a training interaction.
    """
    return [*_by_activity(np.diff(seen.offsets)), *_by_popularity(popularity)]


def wanted(dataset: Dataset, names: Sequence[str]) -> list[Segment]:
    """Return the segments by attributes of items and by features of users.

    Raises:
        OptionError: a name is neither an attribute of items nor a column of user features.
    """
    attributes = {column.name: column for column in dataset.attributes}
    segments: list[Segment] = []
    for name in names:
        if name in attributes:
            segments += _by_attribute(attributes[name])
        elif name in dataset.user_columns:
            segments += _by_feature(dataset, name)
        else:
            known = ", ".join(dict.fromkeys([*attributes, *dataset.user_columns])) or "none"
            expected = (
                "an attribute of items (--item-attributes) or a column of user features "
                f"(--user-features); there is {known}"
            )
            raise OptionError(OPTION, name, expected)
    return segments


def _by_activity(counts: NDArray[np.integer]) -> Iterator[Segment]:
    trained = counts[counts > 0]
    if len(trained):
        low, high = (int(own) for own in np.quantile(trained, [1 / 3, 2 / 3], method="lower"))
        bounds = ((1, low), (low + 1, high), (high + 1, int(trained.max())))
        for value, (least, most) in zip(_THIRDS, bounds, strict=True):
            if least <= most:
                rule = f"{_range(least, most)} seen items"
                yield Segment(
                    by="user_activity",
                    value=value,
                    rule=rule,
                    users=(counts >= least) & (counts <= most),
                )
    yield Segment(by="cold_users", value="none", rule="no seen item", users=counts == 0)
    few = (counts > 0) & (counts <= FEW)
    yield Segment(by="cold_users", value="few", rule=f"1 to {FEW} seen items", users=few)


def _by_popularity(popularity: NDArray[np.integer]) -> Iterator[Segment]:
    order = np.argsort(-popularity.astype(np.int64), kind="stable")
    # A share of the interactions of the items before each: so the first item is always in the head.
    before = np.cumsum(popularity[order], dtype=np.int64) - popularity[order]
    total = max(1, int(popularity.sum()))
    thirds = np.empty(len(order), dtype=np.int64)
    thirds[order] = np.minimum(before * 3 // total, 2)
    for third, value in enumerate(("head", "middle", "tail")):
        items = thirds == third
        rule = f"{int(items.sum()):,} items with {('the first', 'the second', 'the last')[third]} third"
        yield Segment(
            by="item_popularity", value=value, rule=f"{rule} of training interactions", items=items
        )
    rule = f"at most {FEW} training interactions"
    yield Segment(by="cold_items", value="few", rule=rule, items=popularity <= FEW)


def _by_attribute(column: Column) -> Iterator[Segment]:
    if isinstance(column, TextColumn):
        items = len(column.values)
        rows: dict[str, list[int]] = {}
        for row, values in enumerate(column.values):
            for value in {*values}:
                rows.setdefault(value, []).append(row)
        for value, own in sorted(rows.items(), key=lambda one: (-len(one[1]), one[0]))[:MOST_VALUES]:
            has = np.zeros(items, dtype=bool)
            has[own] = True
            yield Segment(by=column.name, value=value, rule=f"{len(own):,} items", items=has)
        return
    known = column.values[~np.isnan(column.values)]
    if not len(known):
        return
    low, high = np.quantile(known, [1 / 3, 2 / 3], method="lower").tolist()
    for value, (above, most) in zip(
        _THIRDS, ((-np.inf, low), (low, high), (high, np.inf)), strict=True
    ):
        has = (column.values > above) & (column.values <= most)
        if has.any():
            own = column.values[has]
            rule = f"{_range(own.min(), own.max())}: {len(own):,} items"
            yield Segment(by=column.name, value=value, rule=rule, items=has)


def _by_feature(dataset: Dataset, name: str) -> Iterator[Segment]:
    features = dataset.user_features.tocsc()
    first = len(dataset.users)
    found = []
    for column, feature in enumerate(dataset.user_feature_names):
        own, _, value = feature.partition(":")
        if own == name:
            has = np.zeros(first, dtype=bool)
            start, end = features.indptr[first + column : first + column + 2]
            has[features.indices[start:end]] = True
            found.append((value, has))
    for value, has in sorted(found, key=lambda one: (-int(one[1].sum()), one[0]))[:MOST_VALUES]:
        yield Segment(by=name, value=value, rule=f"{int(has.sum()):,} users", users=has)


def _range(least: float, most: float) -> str:
    return f"{least:.10g}" if least == most else f"{least:.10g} to {most:.10g}"
