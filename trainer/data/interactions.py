"""Read interactions: users, items, weights, timestamps and event types."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightfm_retriever.publication.writer import utc_now
from trainer.data import skipping
from trainer.data.files import column_types, tables
from trainer.data.files import source as sources
from trainer.data.files.source import FileColumns
from trainer.data.skipping import Reading
from trainer.data.times import date_guesses, timestamps
from trainer.data.times.date_formats import DateFormat
from trainer.errors import InputError

REQUIRED = ("user_id", "item_id")
OPTIONAL = ("weight", "timestamp", "event")
# Warn from this ratio of the 90th to the 10th percentile of weights on. Counts of plays reach 100.
_SEVERAL_UNITS = 1000
EVENT_ID = "event_id"


@dataclass(frozen=True)
class Interactions:
    """Interactions in file order; n rows.

    Attributes:
        name: the name of the source.
        user_ids, item_ids: the distinct external ids, in order of first appearance.
        users, items: (n,) int64, positions in user_ids and item_ids.
        weights: (n,) float32, at most MAX_WEIGHT above or below 0; 1 without a column `weight`. Only
            interactions with a weight above 0 are positives.
        has_weights: whether there was such a column.
        timestamps: (n,) float64, seconds since 1970-01-01 UTC; None without that column.
        events: (n,) int64, positions in event_types; None without a column `event`.
        event_types: the distinct event types, in order of first appearance; "" for a missing one.
        warnings: what looks wrong, one sentence each.
        event_ids: (n,) text, "" for a missing one; None if they are absent or weren't read.
    """

    name: str
    user_ids: list[str]
    item_ids: list[str]
    users: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float32]
    timestamps: NDArray[np.float64] | None = None
    events: NDArray[np.int64] | None = None
    event_types: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    event_ids: pa.ChunkedArray | None = None
    has_weights: bool = False

    def __len__(self) -> int:
        return len(self.users)

    def times_for(self, option: str) -> NDArray[np.float64]:
        """Return the timestamps; raises InputError, which names `option`, if there are none."""
        if self.timestamps is None:
            reason = f"there is no column timestamp, which {option} needs"
            raise InputError(Path(self.name), reason)
        return self.timestamps

    def where(self, kept: NDArray[np.bool_]) -> Interactions:
        """Return the rows for which the mask `kept` (n,) is true, and only the ids that they use."""
        user_ids, users = _compact(self.user_ids, self.users[kept])
        item_ids, items = _compact(self.item_ids, self.items[kept])
        smaller = replace(
            self,
            user_ids=user_ids,
            item_ids=item_ids,
            users=users,
            items=items,
            weights=self.weights[kept],
            timestamps=None if self.timestamps is None else self.timestamps[kept],
            event_ids=None if self.event_ids is None else self.event_ids.filter(pa.array(kept)),
        )
        if self.events is None:
            return smaller
        event_types, events = _compact(self.event_types, self.events[kept])
        return replace(smaller, event_types=event_types, events=events)


def read_interactions(
    path: Path,
    *,
    event_ids: bool = False,
    now: float | None = None,
    reading: Reading | None = None,
) -> Interactions:
    """Read the columns user_id and item_id and, if present, weight, timestamp and event.

    Other columns are ignored. `timestamps.read` and `timestamps.check` define valid timestamps. An
    event type is text.

    Args:
        path: a CSV, JSON Lines or Parquet file, or a folder of Parquet files as `parquet_folder` reads
            it.
        event_ids: whether to read an optional column event_id, of text or integers.
        now: the current time in seconds since 1970; None for the clock of the machine.
        reading: how the file is written; None for this project's names and forms.

    Raises:
        InputError: names the file and the column or row.
        OptionError: an option of `reading` is wrong for this file.
    """
    reading, now = reading or Reading(), utc_now().timestamp() if now is None else now
    source = sources.read(
        path,
        required=REQUIRED,
        optional=optional_columns(event_ids=event_ids),
        layout=reading.layout,
        skips=reading.skips,
    )
    if reading.skips and not source.wrong:
        # Most files have no invalid row, and looking for them takes longer than reading.
        with contextlib.suppress(InputError):
            return _of_source(source, reading, now)
    if not reading.skips:
        return _of_source(source, reading, now)
    source, skipped = skipping.skip(source, now=now, form=reading.form)
    read = _of_source(source, reading, now)
    if not len(skipped):
        return read
    return replace(read, warnings=[*read.warnings, skipped.told(path.name, reading.skipped_file)])


def _of_source(source: FileColumns, reading: Reading, now: float) -> Interactions:
    """Return the interactions of a source; an error about a time says which form it has."""
    path = source.path
    with source.named():
        try:
            read = from_table(path, source.table, name=path.name, now=now, form=reading.form)
        except InputError as error:
            if not reading.layout.flags or not error.reason.startswith("timestamp "):
                raise
            reason = error.reason + _advice(source, now)
            raise InputError(path, reason, row=error.row) from error
    return replace(read, warnings=[*source.notes, *read.warnings])


def optional_columns(*, event_ids: bool) -> tuple[str, ...]:
    """Return the optional columns of interactions."""
    return (*OPTIONAL, EVENT_ID) if event_ids else OPTIONAL


def from_table(
    path: Path,
    table: pa.Table,
    *,
    name: str,
    now: float | None = None,
    times_are_certain: bool = False,
    form: DateFormat | None = None,
) -> Interactions:
    """Return the interactions of a table with at least one row; see `read_interactions`.

    Args:
        path: the file that errors name.
        table: the columns.
        name: the name of the source.
        now: see `read_interactions`.
        times_are_certain: whether numeric timestamps are known to be seconds since 1970.
        form: the form of the timestamps; None for the usual one.
    """
    now = utc_now().timestamp() if now is None else now
    user_ids, users = tables.ids(path, table, "user_id")
    item_ids, items = tables.ids(path, table, "item_id")
    result = Interactions(
        name, user_ids, item_ids, users, items, np.ones(table.num_rows, dtype=np.float32)
    )
    if "weight" in table.column_names:
        weights = tables.numbers(path, table, "weight")
        result = replace(
            result,
            weights=weights,
            has_weights=True,
            warnings=[*_of_several_units(name, weights)],
        )
    if "timestamp" in table.column_names:
        times = timestamps.read(path, table, "timestamp", now=now, form=form)
        if times_are_certain:
            times = replace(times, as_numbers=np.zeros_like(times.as_numbers))
        odd = timestamps.check(times, now=now)
        result = replace(result, timestamps=times.seconds, warnings=[*result.warnings, *odd])
    if "event" in table.column_names:
        event_types, events = tables.categories(path, table, "event")
        result = replace(result, event_types=event_types, events=events)
    if EVENT_ID in table.column_names:
        result = replace(result, event_ids=tables.text_column(path, table, EVENT_ID))
    return result


def _advice(source: FileColumns, now: float) -> str:
    """Say which --date-format reads the timestamps, or how to leave them out."""
    values = column_types.decoded(source.table.column("timestamp"))
    found = [shlex.quote(form) for form in date_guesses.guess(values, now=now)]
    if len(found) > 1:
        return f"; the day or the month may come first: give --date-format {' or '.join(found)}"
    if found:
        return f"; give --date-format {found[0]}"
    if "timestamp" in source.renamed:
        return "; --columns timestamp= reads no timestamps"
    return ""


def _of_several_units(name: str, weights: NDArray[np.float32]) -> Iterator[str]:
    """Warn if positive weights differ so much that some may have another unit."""
    positives = weights[weights > 0]
    small, large = np.percentile(positives, [10, 90]) if len(positives) else (1, 1)
    if large >= _SEVERAL_UNITS * small:
        yield (
            f"the weights of {name} differ by a factor of {large / small:,.0f}: one in ten is "
            f"{small:g} or less, and one in ten is {large:g} or more; do some have another unit?"
        )


def _compact(names: list[str], codes: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the used names in order of first appearance, and each row's position among them."""
    # np.unique would sort all rows. Assigned backwards, the first row of each name remains.
    first = np.full(len(names), len(codes))
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    used = np.flatnonzero(first < len(codes))
    used = used[np.argsort(first[used])]
    position = np.full(len(names), -1, dtype=np.int64)
    position[used] = np.arange(len(used))
    return [names[code] for code in used.tolist()], position[codes]
