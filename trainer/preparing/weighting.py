"""What counts how much: weights by event type, by age, and an end to what is too old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.bounds import MAX_WEIGHT, weights_as_float32
from trainer.data.interactions import Interactions
from trainer.data.times.time_forms import iso
from trainer.errors import InputError

DAY = 86_400.0
# Beyond any float32, but not yet 0 in float64.
_MOST_HALVINGS = 500
# Among fewer interactions one that is far newer than the others is nothing strange.
_FEWEST = 10
_ISOLATED_SHARE = 0.01
# After so many half-lives the model learns hardly anything of an interaction.
_ISOLATED_HALVINGS = 5
_SMALL_SHARE = 0.1
_WITHOUT_TYPE = "--event-weights =1 gives 1 to interactions without a type"


def weigh(
    parts: Sequence[Interactions],
    *,
    event_weights: Mapping[str, float] | None = None,
    half_life_days: float | None = None,
    last_days: float | None = None,
) -> list[Interactions]:
    """Leave out what is too old and multiply the weights by those of event type and age.

    Ages are relative to the newest of all interactions and not to the clock on the wall, so that the
    same input gives the same weights whenever it is read.

    Args:
        parts: of one input, each in file order; there is an interaction.
        event_weights: by event type, of which "" is none; 0 or less for no positive; None for no such.
        half_life_days: after so many days an interaction counts half; None for no decay.
        last_days: the oldest age that is kept; None for any.

    Returns:
        Of each part the rows that are left, in the order they were in. A weight that isn't 0 stays so,
        however old it is. A warning says so where only a small share of a part is left, or nothing.

    Raises:
        InputError: names the part of which there are no timestamps or event types that an option needs,
            of which an event type has no weight, or a weight becomes too large; or ages are relative to
            a few interactions that are far newer than all others.
    """
    ages: list[NDArray[np.float64] | None] = [None] * len(parts)
    # By option: how many days count, and what becomes of those that are older.
    windows: dict[str, tuple[float, str]] = {}
    if last_days is not None:
        windows["--last-days"] = last_days, "are left out"
    if half_life_days is not None:
        windows["--half-life-days"] = half_life_days * _ISOLATED_HALVINGS, "hardly count"
    if windows:
        times = [part.times_for(next(iter(windows))) for part in parts]
        every = np.concatenate(times)
        in_order = np.sort(every)
        for option, (days, effect) in windows.items():
            _refuse_isolated(parts, every, in_order, option, days, effect)
        parts = _warned_of_a_gap(parts, in_order, windows)
        ages = [(in_order[-1] - own) / DAY for own in times]
    return [
        _weighed(part, age, event_weights or {}, half_life_days, last_days) if len(part) else part
        for part, age in zip(parts, ages, strict=True)
    ]


def _warned_of_a_gap(
    parts: Sequence[Interactions],
    in_order: NDArray[np.float64],
    windows: Mapping[str, tuple[float, str]],
) -> Sequence[Interactions]:
    """The parts, the first with a warning where a gap alone makes many interactions too old.

    Half of the devices with a clock a year behind leave such a gap. A pause longer than all the time
    since is one; others of a long history are too old by what came after them.
    """
    total = len(in_order)
    gaps = np.diff(in_order)
    wide = np.flatnonzero(gaps > in_order[-1] - in_order[1:])
    for option, (days, effect) in windows.items():
        found = wide[gaps[wide] > days * DAY]
        if total >= _FEWEST and len(found) and (before := int(found[-1]) + 1) >= total * _SMALL_SHARE:
            warning = (
                f"{parts[0].name}: {before} of {total} interactions ({before / total:.1%}) {effect} by "
                f"{option}: they are of {iso(in_order[before - 1])} and before, and nothing "
                f"happened for {gaps[before - 1] / DAY:,.0f} days until {iso(in_order[before])}: "
                "is a clock wrong?"
            )
            return [replace(parts[0], warnings=[*parts[0].warnings, warning]), *parts[1:]]
    return parts


def _weighed(
    interactions: Interactions,
    ages: NDArray[np.float64] | None,
    event_weights: Mapping[str, float],
    half_life_days: float | None,
    last_days: float | None,
) -> Interactions:
    """One part, whose interactions are of these ages in days; None where no option needs them."""
    rows = np.arange(len(interactions))
    if ages is not None and last_days is not None:
        recent = ages <= last_days
        rows, ages = np.flatnonzero(recent), ages[recent]
        interactions = _last(interactions, recent, last_days)
    if not len(rows) or (not event_weights and half_life_days is None):
        return interactions
    weights = interactions.weights.astype(np.float64)
    if event_weights:
        weights *= _by_event(interactions, event_weights, rows)
    if ages is not None and half_life_days is not None:
        weights *= 0.5 ** np.minimum(ages / half_life_days, _MOST_HALVINGS)
    return replace(interactions, weights=_float32(interactions, weights, rows))


def _refuse_isolated(
    parts: Sequence[Interactions],
    times: NDArray[np.float64],
    in_order: NDArray[np.float64],
    option: str,
    days: float,
    effect: str,
) -> None:
    """Raise InputError where a few interactions are so much newer than all others that only they count.

    By one such row, of a device with a wrong clock, all others would be too old.
    """
    total = len(times)
    if total < _FEWEST:
        return
    few = max(1, int(total * _ISOLATED_SHARE))
    # From the newest of all others on.
    newest = in_order[total - few - 1 :]
    gaps = np.diff(newest) / DAY
    if not (gaps > days).any():
        return
    position = int(np.argmax(gaps > days))
    count = few - position
    row = int(np.argmax(times > newest[position]))
    ends = np.cumsum([len(part) for part in parts])
    place = int(np.searchsorted(ends, row, side="right"))
    raise InputError(
        Path(parts[place].name),
        f"timestamp is {iso(times[row])}, but {total - count} of {total} interactions are of "
        f"{iso(newest[position])} and before; {option} counts from the newest, so because of "
        f"{count} that {'is' if count == 1 else 'are'} {gaps[position]:,.0f} days newer than all "
        f"others, the others {effect}: mend or leave out "
        f"{'that row' if count == 1 else 'those rows'}, or give more days",
        row=row - int(ends[place]) + len(parts[place]) + 1,
    )


def _last(interactions: Interactions, recent: NDArray[np.bool_], last_days: float) -> Interactions:
    """The recent ones."""
    left, total, warning = np.count_nonzero(recent), len(interactions), ""
    if not left:
        warning = (
            f"none of {total} interactions of {interactions.name} is of the last {last_days:g} days"
        )
    elif left < total * _SMALL_SHARE:
        times = interactions.times_for("--last-days")
        warning = (
            f"--last-days {last_days:g} keeps only {left} of {total} interactions of "
            f"{interactions.name} ({left / total:.1%}), which are of {iso(times.min())} to "
            f"{iso(times.max())}"
        )
    warnings = [*interactions.warnings, warning] if warning else interactions.warnings
    return replace(interactions.where(recent), warnings=warnings)


def _by_event(
    interactions: Interactions, event_weights: Mapping[str, float], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n,) float64, the weight of each row's event type; `rows` are their positions in the file."""
    path = Path(interactions.name)
    if interactions.events is None:
        if "" in event_weights:
            return np.full(len(interactions), event_weights[""])
        reason = f"there is no column event, which --event-weights needs; {_WITHOUT_TYPE}"
        raise InputError(path, reason)
    for code, event in enumerate(interactions.event_types):
        if event not in event_weights:
            row = int(rows[np.argmax(interactions.events == code)]) + 1
            known = ", ".join(event_weights)
            reason = f"event {event!r} has no weight; --event-weights has: {known}"
            if not event:
                reason += f"; {_WITHOUT_TYPE}"
            raise InputError(path, reason, row=row)
    by_code = np.array([event_weights[event] for event in interactions.event_types], dtype=np.float64)
    return by_code[interactions.events]


def _float32(
    interactions: Interactions, weights: NDArray[np.float64], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    bad = ~(np.abs(weights) <= MAX_WEIGHT)
    if bad.any():
        position = int(bad.argmax())
        reason = (
            f"the weight {interactions.weights[position]:g} becomes {weights[position]:g}, which "
            f"is too large: give --event-weights that make none of more than {MAX_WEIGHT:g}"
        )
        raise InputError(Path(interactions.name), reason, row=int(rows[position]) + 1)
    return weights_as_float32(weights)
