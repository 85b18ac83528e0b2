"""Describe columns, interactions and tables in numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.features import FeatureTable
from trainer.data.files import column_types, tables
from trainer.data.files.column_types import NUMBER
from trainer.data.interactions import Interactions
from trainer.data.times.time_forms import iso
from trainer.inspection.facts import ColumnFacts, InteractionFacts, TableFacts

_EXAMPLE_CHARACTERS = 30
_MOST_EVENTS = 20
_MOST_RATINGS = 21
_LARGEST_RATING = 10
_WHOLE = r"^-?[0-9]+$"
_DATE = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([ T].*)?")


def columns(sample: pa.Table, chosen: Mapping[str, str]) -> list[ColumnFacts]:
    """Describe the columns of some rows; `chosen` has the file's column for this project's names."""
    ours = {own: name for name, own in chosen.items()}
    found = []
    for name, values in zip(sample.column_names, sample.columns, strict=True):
        texts = _texts(column_types.decoded(values))
        example = next((own for own in texts if own), "")
        if len(example) > _EXAMPLE_CHARACTERS:
            example = f"{example[:_EXAMPLE_CHARACTERS]}..."
        found.append(ColumnFacts(name, ours.get(name), _type(values, texts), example))
    return found


def interactions(read: Interactions, *, rows: int, invalid: Mapping[str, int]) -> InteractionFacts:
    """Describe interactions; `rows` counts those of the file, and `invalid` those left out."""
    users, items = len(read.user_ids), len(read.item_ids)
    pairs = len(np.unique(read.users * np.int64(items) + read.items))
    times, weights = read.timestamps, None
    if read.has_weights:
        ends = (read.weights.min(), np.median(read.weights), read.weights.max())
        weights = (float(ends[0]), float(ends[1]), float(ends[2]))
    return InteractionFacts(
        rows=rows,
        users=users,
        items=items,
        pairs=pairs,
        density=pairs / (users * items),
        first=None if times is None else iso(float(times.min())),
        last=None if times is None else iso(float(times.max())),
        weights=weights,
        not_positive=int(np.count_nonzero(read.weights <= 0)),
        events=_events(read),
        invalid=dict(invalid),
        invalid_rows=sum(invalid.values()),
    )


def table(read: FeatureTable, invalid: Mapping[str, int]) -> TableFacts:
    """Describe a file of items or users; `invalid` counts the rows left out."""
    titles = None if read.titles is None else sum(bool(title) for title in read.titles)
    return TableFacts(len(read.ids), titles, matching=None, invalid=dict(invalid))


def hints(read: Interactions) -> list[str]:
    """Advise on options that change how the interactions are used."""
    found = []
    if read.has_weights and _are_ratings(read):
        found.append(
            f"the weights look like ratings from {read.weights.min():g} to {read.weights.max():g}: "
            "--positive-from 4, for example, makes lower ones count as seen but not as liked"
        )
    if len(read.event_types) > 1:
        told = ",".join(f"{own}=WEIGHT" for own in read.event_types[:_MOST_EVENTS])
        found.append(f"events of several types: --event-weights {told} weights them")
    if read.timestamps is not None:
        found.append("there are timestamps: --split time tests on the newest interactions")
    return found


def _are_ratings(read: Interactions) -> bool:
    known = np.unique(read.weights)
    return (
        2 < len(known) <= _MOST_RATINGS
        and known[0] >= 0
        and 4 < known[-1] <= _LARGEST_RATING
        and bool((known * 2 == np.trunc(known * 2)).all())
    )


def _events(read: Interactions) -> dict[str, int]:
    if read.events is None:
        return {}
    counts = np.bincount(read.events, minlength=len(read.event_types)).tolist()
    ranked = sorted(zip(read.event_types, counts, strict=True), key=lambda own: -own[1])
    return dict(ranked[:_MOST_EVENTS])


def _texts(values: pa.ChunkedArray) -> Sequence[str]:
    if not column_types.has_text(values.type):
        return [str(own) for own in values.to_pylist()]
    return [own or "" for own in column_types.as_text(values).to_pylist()]


def _type(values: pa.ChunkedArray, texts: Sequence[str]) -> str:
    """Name the type of a column of Parquet, or the form of the texts of another file."""
    if not column_types.is_text(column_types.decoded(values).type):
        return str(values.type)
    given = tables.trimmed(values).drop_null()
    if not len(given):
        return "empty"
    for name, pattern in (("integer", _WHOLE), ("number", NUMBER)):
        if pc.all(pc.match_substring_regex(given, pattern)).as_py():
            return name
    return "date" if all(_DATE.fullmatch(own) for own in texts if own) else "text"
