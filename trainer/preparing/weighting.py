"""Weight interactions by event type and age, and leave out old ones."""

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
# Such a small factor vanishes in float32, but isn't yet 0 in float64.
_MOST_HALVINGS = 500
# With fewer interactions, a far newer one isn't suspicious.
_FEWEST = 10
_ISOLATED_SHARE = 0.01
# After this many half-lives the model learns hardly anything from an interaction.
_ISOLATED_HALVINGS = 5
_SMALL_SHARE = 0.1
_WITHOUT_TYPE = "--event-weights =1 gives weight 1 to interactions without a type"


def weigh(
    parts: Sequence[Interactions],
    *,
    event_weights: Mapping[str, float] | None = None,
    half_life_days: float | None = None,
    last_days: float | None = None,
) -> list[Interactions]:
    """Leave out old interactions, and multiply the weights by event type and age.

    Ages are relative to the newest interaction, not to the clock, so the same input always gives the
    same weights.

    Args:
        parts: the parts of one input, each in file order, with at least one interaction in total.
        event_weights: weights by event type; "" is the missing type. Weights of 0 or less make no
            positives. None multiplies by nothing.
        half_life_days: the age in days at which an interaction counts half; None for no decay.
        last_days: the largest age in days that is kept; None for any.

    Returns:
        The remaining rows of each part, in their order. A weight other than 0 never becomes 0. A
        warning says if little or nothing of a part remains.

    Raises:
        InputError: a part lacks timestamps or event types that an option needs, or an event type has
            no weight; or a weight becomes too large. Also if a few interactions are far newer than all
            others.
    """
    ages: list[NDArray[np.float64] | None] = [None] * len(parts)
    # For each option the days that count, and the effect on older interactions.
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
    """Return the parts, with a warning on the first if a gap makes many interactions too old.

    For example, half of the devices have a clock that is a year behind. A gap counts if it is longer
    than all the time after it. Otherwise interactions are too old because the history is long.
    """
    total = len(in_order)
    gaps = np.diff(in_order)
    wide = np.flatnonzero(gaps > in_order[-1] - in_order[1:])
    for option, (days, effect) in windows.items():
        found = wide[gaps[wide] > days * DAY]
        if total >= _FEWEST and len(found) and (before := int(found[-1]) + 1) >= total * _SMALL_SHARE:
            warning = (
                f"{parts[0].name}: {before} of {total} interactions ({before / total:.1%}) {effect} by "
                f"{option}: the newest of them is of {iso(in_order[before - 1])}, and the next "
                f"interaction follows {gaps[before - 1] / DAY:,.0f} days later, at "
                f"{iso(in_order[before])}: is a clock wrong?"
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
    """Weight one part; `ages` are in days, None if no option needs them."""
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
    """Raise InputError if a few interactions are so much newer that all others would be too old.

    One row of a device with a wrong clock is enough for that.
    """
    total = len(times)
    if total < _FEWEST:
        return
    few = max(1, int(total * _ISOLATED_SHARE))
    # The few newest, and the newest of the others.
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
        f"{iso(newest[position])} and before, {gaps[position]:,.0f} days earlier; {option} counts "
        f"from the newest interaction, so because of {count} {'row' if count == 1 else 'rows'} all "
        f"others {effect}: fix or leave out {'that row' if count == 1 else 'those rows'}, or give "
        "more days",
        row=row - int(ends[place]) + len(parts[place]) + 1,
    )


def _last(interactions: Interactions, recent: NDArray[np.bool_], last_days: float) -> Interactions:
    """Keep the recent interactions, and warn if few or none remain."""
    left, total, warning = np.count_nonzero(recent), len(interactions), ""
    if not left:
        warning = (
            f"none of {total} interactions of {interactions.name} is from the last {last_days:g} days"
        )
    elif left < total * _SMALL_SHARE:
        times = interactions.times_for("--last-days")
        warning = (
            f"--last-days {last_days:g} keeps only {left} of {total} interactions of "
            f"{interactions.name} ({left / total:.1%}), which range from {iso(times.min())} to "
            f"{iso(times.max())}"
        )
    warnings = [*interactions.warnings, warning] if warning else interactions.warnings
    return replace(interactions.where(recent), warnings=warnings)


def _by_event(
    interactions: Interactions, event_weights: Mapping[str, float], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the weight of each row's event type, (n,) float64; errors name the file row in `rows`."""
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
            f"is too large: give smaller --event-weights, so that none exceeds {MAX_WEIGHT:g}"
        )
        raise InputError(Path(interactions.name), reason, row=int(rows[position]) + 1)
    return weights_as_float32(weights)
