"""Finds and removes selected events of a log, and rewrites the files without them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lightfm_retriever.hosting import words
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES
from trainer.event_log import files as event_files
from trainer.event_log.errors import EventLogError, InvalidSelectionError
from trainer.event_log.event import Event
from trainer.event_log.files import LogFile
from trainer.event_log.reading import read_file
from trainer.event_log.record import EventRecord

MAX_VALUES = 10_000
"""Maximum number of ids in a selection, of all kinds together."""
EXAMPLES = 10

_IDS = {"event_ids": "event_id", "user_ids": "user_id", "item_ids": "item_id"}
_BOUNDS = {
    "happened_from": ("timestamp", pc.greater_equal),
    "happened_before": ("timestamp", pc.less),
    "min_weight": ("weight", pc.greater_equal),
    "max_weight": ("weight", pc.less_equal),
}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Conditions that select events. An event must meet all of them; at least one must be set.

    Attributes:
        event_ids, user_ids, item_ids: the event has one of these ids; empty for any.
        happened_from: smallest timestamp, in seconds since 1970-01-01 UTC.
        happened_before: the timestamp is below this one, in the same unit.
        min_weight, max_weight: smallest and largest weight.
    """

    event_ids: Sequence[str] = ()
    user_ids: Sequence[str] = ()
    item_ids: Sequence[str] = ()
    happened_from: float | None = None
    happened_before: float | None = None
    min_weight: float | None = None
    max_weight: float | None = None

    def __post_init__(self) -> None:
        """Raise InvalidSelectionError for a wrong value, or if no condition is set."""
        count = 0
        for name in _IDS:
            values = getattr(self, name)
            count += len(values)
            if "" in values:
                raise InvalidSelectionError(name, "has an empty id, which no event has")
            if count > MAX_VALUES:
                raise InvalidSelectionError(
                    name,
                    f"brings the request to {count} ids, but it may have at most {MAX_VALUES}: send "
                    "several requests",
                )
            for place, value in enumerate(values):
                # A text from a command line may not be valid Unicode.
                if (size := len(value.encode("utf-8", "replace"))) > MAX_ID_BYTES:
                    raise InvalidSelectionError(
                        f"{name}[{place}]",
                        f"has {size} bytes of UTF-8, but an id has at most {MAX_ID_BYTES}",
                    )
        given = [name for name in _BOUNDS if getattr(self, name) is not None]
        if not count and not given:
            raise InvalidSelectionError(
                "event_ids",
                "nothing is selected: give ids of events, users or items, or bounds of time or weight",
            )
        for name in given:
            if not math.isfinite(getattr(self, name)):
                raise InvalidSelectionError(name, f"is {getattr(self, name)}, which isn't finite")
        self._check_order("happened_from", "happened_before", may_be_equal=False)
        self._check_order("min_weight", "max_weight", may_be_equal=True)

    def _check_order(self, low: str, high: str, *, may_be_equal: bool) -> None:
        least, most = getattr(self, low), getattr(self, high)
        if least is None or most is None or least < most or (may_be_equal and least == most):
            return
        raise InvalidSelectionError(low, f"is {least}, but should be below {high}, which is {most}")

    def mask(self, table: pa.Table) -> pa.ChunkedArray:
        """Return which rows of a table of n events are selected: (n,) booleans."""
        masks = [
            pc.is_in(table[column], value_set=pa.array(ids, pa.string()))
            for name, column in _IDS.items()
            if (ids := getattr(self, name))
        ]
        masks += [
            compare(table[column], bound)
            for name, (column, compare) in _BOUNDS.items()
            if (bound := getattr(self, name)) is not None
        ]
        return reduce(pc.and_, masks)


@dataclass(frozen=True, kw_only=True)
class Removed:
    """The events that were removed, or would be removed.

    Attributes:
        events: number of stored events, including late repetitions.
        users, items: numbers of distinct users and items.
        oldest, newest: range of the timestamps, in seconds since 1970-01-01 UTC; None without events.
        min_weight, max_weight: range of the weights; None without events.
        examples: the first EXAMPLES events in the order of arrival.
        warnings: sentences about files that weren't searched.
    """

    events: int = 0
    users: int = 0
    items: int = 0
    oldest: float | None = None
    newest: float | None = None
    min_weight: float | None = None
    max_weight: float | None = None
    examples: list[Event] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class EventSearch:
    """Finds the events of a selection; for the only writer of a log.

    An event is removed together with its later repetitions. Otherwise readers, who take the first event
    of an id, would then find a repetition.
    """

    def __init__(self, directory: Path, selection: Selection) -> None:
        self._directory = directory
        self._selection = selection
        self._warnings: list[str] = []
        self._ids = pa.chunked_array([], pa.string())
        self._found: dict[int, tuple[LogFile, pa.ChunkedArray]] = {}
        self._count = 0
        # Only the columns that the summary needs: millions of events may match.
        self._users: list[pa.Array] = []
        self._items: list[pa.Array] = []
        self._bounds: list[tuple[float, float, float, float]] = []
        self._examples: list[Event] = []

    def is_in(self, file: LogFile) -> bool:
        """Return whether the current write-ahead file has selected events. Raises as `look` does."""
        _, mask = self._mask(file, last=True)
        return bool(pc.any(mask).as_py())

    def look(self, file: LogFile, *, last: bool) -> None:
        """Search a file, after all files before it. `last` and errors are as of `read_file`."""
        if file.kind == "lost":
            if size := file.path.stat().st_size:
                self._warnings.append(
                    f"{file.path} was given up, so its {size} bytes weren't searched and may hold such "
                    "events. Replace it by an empty file"
                )
            return
        table, mask = self._mask(file, last=last)
        found = table.filter(mask)
        if len(found):
            self._ids = pa.chunked_array([*self._ids.chunks, *found["event_id"].chunks], pa.string())
            self._found[file.number] = (file, mask)
            self._note(found)

    def remove(self, note: Callable[[int, int, list[str]], None], record: EventRecord) -> None:
        """Rewrite the files that have selected events, without these events.

        Begins with the last file, so that a search after an interruption finds the same events.

        Args:
            note: called for each rewritten file, with its number, the number of events that are left,
                and the ids of the removed events.
            record: record of the log's files.

        Raises:
            EventLogError: the disk is full, for instance, or `note` raised it. The other files are
                unchanged.
        """
        removed = 0
        try:
            # Change the mark before the first file and after the last: readers in between read again.
            event_files.mark_removal(self._directory)
            for number in sorted(self._found, reverse=True):
                file, mask = self._found[number]
                table = read_file(file, last=False)
                left = table.filter(pc.invert(mask))
                event_files.replace(file, left, record)
                removed += len(table) - len(left)
                note(number, len(left), table["event_id"].filter(mask).to_pylist())
            event_files.mark_removal(self._directory)
        except (OSError, EventLogError) as error:
            raise EventLogError(
                self._directory,
                f"{removed} of {self._count} events were removed, and the others stay: "
                f"{words.reason(error)}. Fix this, then repeat the same removal",
            ) from error

    def summary(self) -> Removed:
        """Return a summary of the selected events."""
        if not self._found:
            return Removed(warnings=self._warnings)
        oldest, newest, least, most = zip(*self._bounds, strict=True)
        return Removed(
            events=self._count,
            users=len(pa.chunked_array(self._users).unique()),
            items=len(pa.chunked_array(self._items).unique()),
            oldest=min(oldest),
            newest=max(newest),
            min_weight=min(least),
            max_weight=max(most),
            examples=self._examples,
            warnings=self._warnings,
        )

    def _mask(self, file: LogFile, *, last: bool) -> tuple[pa.Table, pa.ChunkedArray]:
        table = read_file(file, last=last)
        mask = self._selection.mask(table)
        if len(self._ids):
            mask = pc.or_(mask, pc.is_in(table["event_id"], value_set=self._ids))
        return table, mask

    def _note(self, found: pa.Table) -> None:
        self._count += len(found)
        self._users.append(found["user_id"].unique())
        self._items.append(found["item_id"].unique())
        times, weights = (pc.min_max(found[name]).as_py() for name in ("timestamp", "weight"))
        self._bounds.append((times["min"], times["max"], weights["min"], weights["max"]))
        missing = EXAMPLES - len(self._examples)
        self._examples += [Event(**row) for row in found.slice(0, missing).to_pylist()]
