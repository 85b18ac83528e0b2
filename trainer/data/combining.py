"""Combine a history (an export of interactions) with the events of the log.

An event in both sources counts once, with the values of the history. Events match by event id if the
history has ids; else by user, item and time, and by type if both sources have types. Repeated rows of
the history stay, since users do buy an item again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer.data.interactions import Interactions

_MICROS = 1_000_000
_DAY = 86_400 * _MICROS
# The precisions of times, in microseconds: a second, a millisecond, or the limit of a float.
_UNITS = (_MICROS, 1_000, 1)


def without_known(history: Interactions, events: Interactions) -> Interactions:
    """Return the events that aren't in the history, without event ids, and with warnings.

    If several events are alike, the first k are left out, where k is their number in the history.
    """
    by_id, unsettled = _known_by_id(history, events)
    by_time = _known_by_time(history, events, unsettled, ~by_id)
    warnings = [
        *events.warnings,
        *_strangers("item", history, events),
        *_strangers("user", history, events),
        *_doubts(history, events, unsettled, by_time=bool(by_time.any())),
    ]
    for known, how in ((by_id, "event_id"), (by_time, "user, item and time")):
        if number := int(known.sum()):
            warnings.append(
                f"{number} of {len(events)} events of {events.name} are also in {history.name}, with "
                f"the same {how}: they count once"
            )
    kept = ~(by_id | by_time)
    left = events if kept.all() else events.where(kept)
    return replace(left, event_ids=None, warnings=warnings)


def join(first: Interactions, second: Interactions) -> Interactions:
    """Concatenate two sources, without event ids.

    The result has timestamps if both have them. It has event types if either has them; the missing
    types are "".
    """
    user_ids, users = _merged(first.user_ids, first.users, second.user_ids, second.users)
    item_ids, items = _merged(first.item_ids, first.items, second.item_ids, second.items)
    joined = Interactions(
        f"{first.name} + {second.name}",
        user_ids,
        item_ids,
        users,
        items,
        np.concatenate([first.weights, second.weights]),
        warnings=[*first.warnings, *second.warnings],
    )
    if first.timestamps is not None and second.timestamps is not None:
        times = np.concatenate([first.timestamps, second.timestamps])
        joined = replace(joined, timestamps=times)
    if first.events is None and second.events is None:
        return joined
    event_types, events = _merged(*_types(first), *_types(second))
    return replace(joined, event_types=event_types, events=events)


def _known_by_id(
    history: Interactions, events: Interactions
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find events by their ids.

    Returns:
        Masks of the events (n,) that the history has, and of the history's rows (m,) without a usable
        id.
    """
    none = np.zeros(len(events), dtype=np.bool_)
    all_rows = np.ones(len(history), dtype=np.bool_)
    if history.event_ids is None or events.event_ids is None:
        return none, all_rows
    ids = history.event_ids
    # Start with the smaller set: a set takes as much memory as its texts.
    shared = ids.filter(pc.is_in(ids, value_set=events.event_ids))
    known = _numpy(pc.is_in(events.event_ids, value_set=shared))
    # If no id matches, the ids may be of another kind, so they settle nothing.
    return (known, _numpy(pc.equal(ids, ""))) if known.any() else (none, all_rows)


def _known_by_time(
    history: Interactions,
    events: Interactions,
    of_history: NDArray[np.bool_],
    of_events: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Find events by user, item and time, among the rows that the masks select; a mask (events,)."""
    known = np.zeros(len(events), dtype=np.bool_)
    if history.timestamps is None or events.timestamps is None or not of_history.any():
        return known
    users = _positions(history.user_ids, events.user_ids)[events.users]
    items = _positions(history.item_ids, events.item_ids)[events.items]
    old_types, types = _common_types(history, events)
    # Few rows are left mostly, since an export ends about where the log begins.
    near = _within(events.timestamps, history.timestamps)
    rows = np.flatnonzero(of_events & near & (users >= 0) & (items >= 0) & (types >= 0))
    if not len(rows):
        return known
    times = events.timestamps[rows]
    has_events = np.zeros(len(history.user_ids), dtype=np.bool_)
    has_events[users[rows]] = True
    near = _within(history.timestamps, times)
    old = np.flatnonzero(of_history & near & has_events[history.users])
    if not len(old):
        return known
    # One code for each pair of user and item.
    count = len(history.item_ids)
    micros = _micros(history.timestamps)
    known[rows] = _repeats(
        [old_types[old], history.users[old] * count + history.items[old]],
        micros[old],
        [types[rows], users[rows] * count + items[rows]],
        _micros(times),
        # The precision of the history's times.
        unit=next(unit for unit in _UNITS if not (micros % unit).any()),
    )
    return known


def _repeats(
    old: Sequence[NDArray[np.int64]],
    old_micros: NDArray[np.int64],
    new: Sequence[NDArray[np.int64]],
    new_micros: NDArray[np.int64],
    *,
    unit: int,
) -> NDArray[np.bool_]:
    """Find new rows that repeat old rows, by codes and times; a mask of the new rows.

    The old times may have been cut or rounded to `unit` microseconds, so the new times are cut or
    rounded too: the way that gives more matches.
    """
    cut, rounded = new_micros // unit, (new_micros + unit // 2) // unit
    best = _matches([*old, old_micros // unit], [*new, cut])
    if (cut != rounded).any():
        other = _matches([*old, old_micros // unit], [*new, rounded])
        best = other if other.sum() > best.sum() else best
    return best


def _matches(old: Sequence[NDArray[np.int64]], new: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Find new rows that equal old rows in all codes: the first k of equal ones for k old rows."""
    count = len(old[0])
    columns = [np.concatenate(pair) for pair in zip(old, new, strict=True)]
    # A stable sort puts equal old rows first, and keeps the new ones in order.
    order = np.lexsort(columns)
    begins = np.zeros(len(order), dtype=np.bool_)
    begins[0] = True
    for column in columns:
        begins[1:] |= np.diff(column[order]) != 0
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.append(starts, len(order)))
    is_old = order < count
    olds = np.repeat(np.add.reduceat(is_old.astype(np.int64), starts), sizes)
    ranks = np.arange(len(order)) - np.repeat(starts, sizes)
    matched = np.zeros(len(order), dtype=np.bool_)
    matched[order] = ~is_old & (ranks < 2 * olds)
    return matched[count:]


def _common_types(
    history: Interactions, events: Interactions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return event types as common codes: -1 if the history lacks one; all 0 if a source has none."""
    sides = (history, events)
    if any(side.events is None or not any(side.event_types) for side in sides):
        return np.zeros(len(history), dtype=np.int64), np.zeros(len(events), dtype=np.int64)
    (old_types, old), (new_types, new) = (_types(side) for side in sides)
    return old, _positions(old_types, new_types)[new]


def _types(of: Interactions) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct event types and each row's position among them; "" if there are none."""
    if of.events is None:
        return [""], np.zeros(len(of), dtype=np.int64)
    return of.event_types, of.events


def _strangers(kind: str, history: Interactions, events: Interactions) -> Iterator[str]:
    """Warn if no id of the log is in the history: the ids may be of another form."""
    old, new = (getattr(side, f"{kind}_ids") for side in (history, events))
    if old and new and not (_positions(old, new) >= 0).any():
        yield (
            f"none of the {len(new)} {kind}s of {events.name} is in {history.name}: do the ids have "
            f"another form? {events.name} has {new[0]!r}, {history.name} has {old[0]!r}"
        )


def _doubts(
    history: Interactions, events: Interactions, unsettled: NDArray[np.bool_], *, by_time: bool
) -> Iterator[str]:
    """Warn if events in both sources can't be matched, and say why."""
    rows = int(unsettled.sum())
    if not rows or by_time:
        return
    if history.timestamps is None:
        yield (
            f"{rows} of {len(history)} interactions of {history.name} have neither a timestamp nor an "
            f"event_id of {events.name}: events in both count twice. Add one of these columns, or let "
            f"{history.name} end where {events.name} begins"
        )
        return
    micros = _micros(history.timestamps)
    if (micros % _DAY).any() or events.timestamps is None:
        return
    # There is no overlap if the history ends before the log begins.
    if micros.max() + _DAY > _micros(events.timestamps).min():
        yield (
            f"the timestamps of {history.name} are days, so they can't match events of {events.name}: "
            "events in both count twice. Add a column event_id, or the time of day"
        )


def _merged(
    first: list[str], first_codes: NDArray[np.int64], second: list[str], second_codes: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct names of both in order of appearance, and each row's position among them."""
    positions = _positions(first, second)
    new = np.flatnonzero(positions < 0)
    positions[new] = len(first) + np.arange(len(new))
    names = [*first, *(second[code] for code in new.tolist())]
    return names, np.concatenate([first_codes, positions[second_codes]])


def _positions(names: list[str], wanted: list[str]) -> NDArray[np.int64]:
    """Return the position of each wanted name in `names`, -1 if it is missing."""
    found = pc.index_in(pa.array(wanted, pa.large_string()), pa.array(names, pa.large_string()))
    positions: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return positions


def _within(times: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask of the times within the range of `others`, give or take a second."""
    mask: NDArray[np.bool_] = (times >= others.min() - 1) & (times <= others.max() + 1)
    return mask


def _micros(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(seconds * _MICROS).astype(np.int64)


def _numpy(mask: pa.ChunkedArray) -> NDArray[np.bool_]:
    values: NDArray[np.bool_] = mask.to_numpy().astype(np.bool_)
    return values
